export declare class EmbeddedPostgres {
  private constructor();
  static start(options?: { flags?: readonly string[]; native?: string; findPort?: () => Promise<number> }): Promise<EmbeddedPostgres>;
  static check(): Promise<void>;
  readonly url: string;
  readonly options: object & { readonly port: number };
  readonly pid: number | undefined;
  startAgain(): Promise<void>;
  crash(): Promise<void>;
  stop(): Promise<void>;
}
