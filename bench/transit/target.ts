/** What each server is asked to do. */
export const works = ['encrypt', 'decrypt', 'data key', 'sign'] as const;
export type Work = (typeof works)[number];

/** A request that stands for some items of work. */
export interface Asked {
  readonly path: string;
  readonly body: string;
}

/** A server, or several nodes of one, under measurement. */
export interface Target {
  readonly name: string;
  /** Connections are spread over them. */
  readonly urls: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** Its own processes; those of PostgreSQL are not among them. */
  readonly processIds: readonly number[];
  /** The request for one item, or for a batch of them; undefined where the server has none for that. */
  asked(work: Work, batch: number | undefined): Promise<Asked | undefined>;
  stop(): Promise<void>;
}

/** What is encrypted, and signed: 256 bytes. */
export const content = Buffer.alloc(256, 7).toString('base64');

/** Sends one request and gives the JSON answer. */
export async function once(
  { urls, headers }: Pick<Target, 'urls' | 'headers'>,
  { path, body }: Asked,
): Promise<unknown> {
  const response = await fetch(`${urls[0]}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  if (response.status >= 300) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.status === 204 ? undefined : response.json();
}
