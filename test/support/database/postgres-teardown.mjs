/** Ends the server that this run started; one that was given is left alone. */
export default async function tearDownPostgres() {
  const started = globalThis.taskflowPostgres;
  if (started === undefined) return;
  globalThis.taskflowPostgres = undefined;
  delete process.env.TASKFLOW_TEST_PG_URL;
  await started.stop();
}
