// By its own path: the flush worker needs the class, and nothing else of Nest, whose index takes it 0.2 s of CPU to load.
import { HttpException } from '@nestjs/common/exceptions/http.exception.js';

const BRAND = Symbol.for('nestjs-taskflow/error');

/** Texts that a client may see where the real message is for operators only. */
const GENERIC: Readonly<Record<number, string>> = { 500: 'Internal Server Error', 503: 'Service Unavailable' };

/**
 * Root of all errors. An HttpException, so that any Nest filter gives the right status without ours installed.
 * The body of a 5xx is generic: its message may name files and databases, which clients must not read.
 */
export abstract class TaskSystemError extends HttpException {
  /** What `is` compares, since `instanceof` fails across two installed copies. Each class of ours states its own. */
  static readonly kind: string = 'TaskSystemError';

  readonly code: string;

  constructor(code: string, status: number, message: string, data: object = {}, options?: { cause?: unknown }) {
    super(
      status >= 500 ? { statusCode: status, message: GENERIC[status] } : { statusCode: status, code, message, ...data },
      status,
      options,
    );
    this.message = message;
    this.code = code;
    this.name = new.target.kind;
    Object.defineProperty(this, BRAND, { value: kindsOf(new.target) });
  }

  /**
   * The status of an error whose message clients may read. With `expose` it is what Nest and Express go by where the error is no instance of
   * their HttpException, as when `@nestjs/common` is installed twice. A 5xx has none: it is answered 500 there, without its message.
   */
  get statusCode(): number | undefined {
    return this.expose ? this.getStatus() : undefined;
  }

  get expose(): boolean {
    return this.getStatus() < 500;
  }

  /** True for this class and its subclasses, also when the value comes from another installed copy of the package. */
  static is<E extends TaskSystemError>(this: abstract new (...args: any[]) => E, value: unknown): value is E {
    if (!Object.hasOwn(this, 'kind')) return value instanceof this; // a subclass of the user's own
    const kinds: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, BRAND) : undefined;
    return Array.isArray(kinds) && kinds.includes((this as unknown as typeof TaskSystemError).kind);
  }
}

function kindsOf(type: typeof TaskSystemError): string[] {
  const kinds: string[] = [];
  for (let at: unknown = type; typeof at === 'function' && at !== HttpException; at = Object.getPrototypeOf(at)) {
    if (Object.hasOwn(at, 'kind')) kinds.push((at as typeof TaskSystemError).kind);
  }
  return kinds;
}
