import type { RepositoryOptions } from '../../../config/repository.options.js';

/** What the beating thread is started with. */
export interface BeatThreadData {
  readonly memory: SharedArrayBuffer;
  /** Without functions. */
  readonly repository: RepositoryOptions;
  readonly asksForPassword: boolean;
  readonly intervalMs: number;
  /** How long the main event loop may stand still until its node counts as dead. */
  readonly maxBlockedMs: number;
}

export type BeatOrder =
  | { readonly kind: 'begin'; readonly me: string; readonly incarnation: number }
  /** The main event loop turns. `now`: its monotonic clock, ms. */
  | { readonly kind: 'pulse'; readonly now: number }
  | { readonly kind: 'beat' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'password'; readonly password: string };

/** `news`: something changed on the board. `password`: a login needs one. */
export type BeatThreadNews = { readonly kind: 'news' } | { readonly kind: 'password' };

/** The same options with this password; their functions and objects stay as they are. */
export function withPassword(repository: RepositoryOptions, password: unknown): RepositoryOptions {
  const { connector } = repository;
  const members = connector === undefined ? { password } : { connector: Object.assign({}, connector, { password }) };
  return Object.assign({}, repository, members);
}
