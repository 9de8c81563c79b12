import { assertOpenable } from './instance/index.ts';
import { systemClock } from './platform/clock.ts';
import { dataDirectory, readConfiguration, withRoot } from './platform/config.ts';
import { listen } from './platform/http.ts';
import type { DirectoryLock } from './platform/lock.ts';
import type { ServerLogger } from './platform/log.ts';
import { parseMetricsPlace } from './platform/metrics/listener.ts';
import { readTraceSettings } from './platform/tracing/settings.ts';
import { createSealedServer, sentence } from './platform/sealed-http.ts';
import type { UnsealDesk } from './platform/sealed-http.ts';
import { describeRoot } from './roots/index.ts';
import type { UnsealRecord } from './roots/shares/index.ts';
import { version } from './version.ts';

/** A server that waits for the shares of its root of trust. */
export interface SealedServer {
  readonly url: string;
  /** The port that it listens on, for the server that takes its place. */
  readonly port: number;
  readonly reason: string;
  /** Who gave what, once the root is open; rejects where right shares do not open it. */
  readonly opened: Promise<UnsealRecord>;
  /** Held from here on, for the server that takes its place. */
  readonly lock: DirectoryLock;
  /** Gives the port back. */
  close(): Promise<void>;
}

/**
 * Listens for shares where the root of trust is held in shares; undefined for every other kind, which opens by itself. What can be known
 * to keep the server from starting is found out before anybody is asked to come.
 *
 * @throws StartupError as opening the installation without its root; `metrics.listen_invalid`, `traces.settings_invalid`, `server.port_in_use`
 */
export async function startSealed(options: {
  dataDirectory: string;
  host: string;
  port: number;
  logger: ServerLogger;
}): Promise<SealedServer | undefined> {
  const { host, logger } = options;
  const configured = dataDirectory(options.dataDirectory);
  const configuration = readConfiguration(configured);
  const { profile } = configuration;
  const directory = withRoot(configured, configuration);
  if (describeRoot(directory.root).kind !== 'shares') return undefined;
  const metrics = process.env['TRIALKEEP_METRICS_LISTEN'] ?? '';
  if (metrics !== '') parseMetricsPlace(metrics);
  readTraceSettings(process.env);
  const lock = await assertOpenable(directory, configuration);
  const { Unsealing } = await import('./roots/shares/index.ts');
  const unsealing = new Unsealing(directory.root, systemClock);
  const { promise: opened, resolve, reject } = Promise.withResolvers<UnsealRecord>();
  const desk: UnsealDesk = {
    get progress() {
      return unsealing.progress;
    },
    get isOpen() {
      return unsealing.isOpen;
    },
    isRight: (share) => unsealing.isRight(share),
    give(share, source) {
      const before = unsealing.progress;
      try {
        const progress = unsealing.give(share, source);
        if (progress.given > before.given) logger.info(progress, 'A share was given.');
        if (unsealing.isOpen) resolve(unsealing.record);
        return progress;
      } catch (error) {
        const { progress } = unsealing;
        if (progress.wrong > before.wrong) logger.warn({ source, ...progress }, 'A share was refused.');
        else reject(error);
        throw error;
      }
    },
  };
  const http = createSealedServer(desk, { profile, version, clock: systemClock }, logger);
  const url = await listen(http, host, options.port);
  return {
    url,
    port: Number(new URL(url).port),
    reason: sentence(desk),
    opened,
    lock,
    close: () => http.close(),
  };
}
