import { maximumShareCharacters } from '@trialkeep/crypto';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from './clock.ts';
import type { Profile } from './config.ts';
import { OperationError } from './errors.ts';
import { addPage, createBareServer, parseBody } from './http.ts';

/** A request with a share, and room for spaces; nothing else is read while the server is sealed. */
const maxBodyBytes = 2048;
/** So many wrong shares at once from one address, and then one every so many ms: people type, and mistype. */
const maxAtOnce = 10;
const refillMs = 1000;
/** Addresses that are remembered. Beyond them those that were silent for longest are forgotten. */
const maxSources = 1024;

/** How far it has come, as everybody may know. */
export interface SealedProgress {
  readonly set: string;
  readonly threshold: number;
  readonly count: number;
  readonly given: number;
  readonly wrong: number;
}

/** Who takes shares. */
export interface UnsealDesk {
  readonly progress: SealedProgress;
  readonly isOpen: boolean;
  /** Whether it is a share of the set; counts nothing. */
  isRight(share: string): boolean;
  /** @throws OperationError `unseal.…` */
  give(share: string, source: string): SealedProgress;
}

/**
 * The HTTP face of a server that is sealed: it says that it is alive and how many shares were given, and takes shares. Everything
 * else is answered with `server.sealed`.
 */
export function createSealedServer(
  desk: UnsealDesk,
  about: { readonly profile: Profile; readonly version: string; readonly clock: Clock },
  logger: FastifyBaseLogger,
): FastifyInstance {
  const server = createBareServer(logger);
  const rate = new Rate(about.clock);
  const state = () => ({ state: desk.isOpen ? 'opening' : 'sealed', ...desk.progress });
  server.setNotFoundHandler(async () => {
    throw new OperationError('server.sealed', { detail: sentence(desk) });
  });
  server.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));
  server.get('/health', async () => ({ alive: true }));
  server.get('/v1/status', async () => ({
    state: 'sealed',
    profile: about.profile,
    version: about.version,
    rootOfTrust: 'shares',
    limits: [sentence(desk)],
  }));
  server.get('/v1/unseal', async () => state());
  const give = async ({ ip, body }: FastifyRequest): Promise<ReturnType<typeof state>> => {
    const share = readShare(body);
    // Only wrong ones are limited: whoever tries many from the same address keeps nobody with a right one out.
    if (!desk.isRight(share)) rate.take(ip);
    desk.give(share, ip);
    return state();
  };
  server.post('/v1/unseal', { bodyLimit: maxBodyBytes }, give);
  addPage(server, async () => page(sentence(desk)));
  return server;
}

function readShare(body: unknown): string {
  const read: unknown = parseBody(body);
  const { share, ...more } = (typeof read === 'object' && read !== null ? read : {}) as { share?: unknown };
  const isOne = typeof share === 'string' && share.length <= maximumShareCharacters;
  if (!isOne || Object.keys(more).length > 0)
    throw new OperationError('request.invalid', { field: '/share' });
  return share;
}

/** The state in a sentence, for people. */
export function sentence({ isOpen, progress }: UnsealDesk): string {
  const { set, threshold, given, wrong } = progress;
  if (isOpen) return 'The root of trust is open; the server is about to start.';
  const refused = wrong === 0 ? '' : ` ${wrong} that were given were refused.`;
  return `Sealed: ${given} of ${threshold} shares of the set ${set} were given.${refused}`;
}

function page(text: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Trialkeep</title></head>
<body><main><h1>Trialkeep</h1><p role="status">${text}</p><p>Custodians give their shares with <code>trialkeep unseal</code>.</p></main></body>
</html>
`;
}

/** A bucket for each address. What is refused takes nothing from it. */
export class Rate {
  readonly #clock: Clock;
  readonly #sources = new Map<string, { left: number; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(source: string): void {
    const now = this.#clock.now();
    const { left, at } = this.#sources.get(source) ?? { left: maxAtOnce, at: now };
    const refilled = Math.min(maxAtOnce, left + Math.max(0, now - at) / refillMs);
    this.#sources.delete(source);
    this.#sources.set(source, { left: refilled < 1 ? refilled : refilled - 1, at: now });
    const [oldest] = this.#sources.keys();
    if (this.#sources.size > maxSources && oldest !== undefined) this.#sources.delete(oldest);
    if (refilled < 1) throw new OperationError('unseal.too_many');
  }
}
