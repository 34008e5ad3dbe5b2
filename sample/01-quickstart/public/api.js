/** What the server said no to; `status` 401, 404, 409, 429, 503 … */
export class RefusedError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @throws {RefusedError} the server answered with an error; {TypeError} it did not answer. */
export async function call(method, path, body, headers = {}) {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } };
  const response = await fetch(`/api/${path}`, { method, ...json });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new RefusedError(response.status, answer.message ?? response.statusText);
  return answer;
}

const RESEND_MS = 1_000;
const RESENDS = 60;

/** Sends until the server answers. The key makes that safe: however often the request arrives, there is one task. */
export async function submit(kind, input) {
  const headers = { 'idempotency-key': crypto.randomUUID() };
  for (let sent = 1; ; sent++) {
    try {
      return await call('POST', `tasks/${kind}`, input, headers);
    } catch (error) {
      const mayTryAgain = !(error instanceof RefusedError) || error.status === 503;
      if (!mayTryAgain || sent === RESENDS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RESEND_MS));
  }
}
