export default function setUpPostgres(): Promise<void>;
export declare function offerPostgres(
  start: () => Promise<{ readonly url: string }>,
  check?: () => Promise<void>,
): Promise<string | undefined>;
