import { setTimeout as pause } from 'node:timers/promises';
import { recoverApproved } from './approvals/index.ts';
import { appendOwn, completeLogKeys, recordUnauthenticated, sealDraft } from './audit/index.ts';
import type { Ledger } from './audit/index.ts';
import { UnsealingsFolder } from './ceremony/index.ts';
import { addAwsKms, readAwsKmsHosts } from './compat/aws-kms/index.ts';
import type { GateNotes } from './gate.ts';
import { openInstance } from './instance/index.ts';
import type { OpenInstance } from './instance/index.ts';
import { systemClock } from './platform/clock.ts';
import { readDrainMs } from './platform/drain.ts';
import { createHttpServer, listen } from './platform/http.ts';
import type { DirectoryLock } from './platform/lock.ts';
import type { ServerLogger } from './platform/log.ts';
import { processFacts, statedExposure } from './platform/process/index.ts';
import { readTrustedProxies } from './platform/proxies.ts';
import { renderStatusPage } from './platform/status-page.ts';
import { readTraceSettings } from './platform/tracing/settings.ts';
import { followLogs } from './questions/index.ts';
import { reconcile } from './reconcile.ts';
import { pendingLogs } from './recovery/index.ts';
import type { UnsealRecord } from './roots/shares/index.ts';
import { completeSeals } from './systems/index.ts';
import { beginWatching } from './watching/index.ts';
import type { Watching } from './watching/index.ts';
import { PolicyFolder, askAtStart, waitForWitnesses } from './witnessing/index.ts';
import type { AskedAtStart } from './witnessing/index.ts';
import { wire } from './wire.ts';
import type { Rooms } from './wire.ts';

/** A server that listens. */
export interface RunningServer {
  readonly url: string;
  readonly state: 'ready' | 'recovery';
  /** Why it is in recovery. */
  readonly reasons: readonly string[];
  /** Answers what is under way, writes what is left to record, and gives the data directory back. */
  close(): Promise<void>;
}

/** How long a port that was given back is tried for: somebody else may have taken it for a moment. */
const takeOverMs = 10_000;
/** How often refusals of unknown callers are looked through. */
const unauthenticatedIntervalMs = 10_000;
/** How often every log is looked at for what other nodes have done and what is left to sign: the freshness of design section 4. */
const pollIntervalMs = 1000;

/** What a server is started with. */
export interface StartOptions {
  dataDirectory: string;
  host: string;
  port: number;
  logger: ServerLogger;
  /** Starts although the witnesses that a policy requires cannot be asked; the ledger says so. */
  withoutWitnesses?: boolean;
  /** Where shares have opened its root: who gave them, the directory's lock, and what gives the port back on which they were given. */
  unsealed?: { readonly record: UnsealRecord; readonly lock: DirectoryLock; release(): Promise<void> };
  /** Called when the server cannot go on. */
  onFatal: () => void;
}

/** Reads the configuration, opens the database, wires the rooms together, listens. */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const { logger } = options;
  const { drainMs, proxies, metrics, traces, awsKmsHosts } = readSurroundings(process.env, options.host);
  const onDown = (error: Error): void => {
    logger.fatal({ error: error.message }, 'The database can no longer be used.');
    options.onFatal();
  };
  const { unsealed } = options;
  // Recorded once the server may write, which in recovery may be after another start.
  if (unsealed !== undefined) new UnsealingsFolder(options.dataDirectory).write(unsealed.record);
  const instance = await openInstance(options.dataDirectory, {
    clock: systemClock,
    notes: logger,
    onDown,
    ...(unsealed && { lock: unsealed.lock }),
  });
  try {
    for (const exposure of statedExposure(processFacts())) logger.warn({}, exposure);
    if (!instance.reserve.held())
      logger.warn({}, 'There is no room for the reserve: revocation may fail on a full disk.');
    const ask = (): Promise<AskedAtStart> => askWitnesses(instance, logger);
    const asked = await ask();
    const certain = await certainReasons(instance, asked);
    const isWaiting = certain.length === 0 && asked.unknown.length > 0 && options.withoutWitnesses !== true;
    // Emptied once the witnesses have answered: whoever holds it sees that.
    const recovery = options.withoutWitnesses === true ? certain : [...certain, ...asked.unknown];
    const rooms = wire({ ...instance, recovery }, { clock: systemClock, notes: logger });
    await rooms.witnessing.look();
    const status = async (): Promise<string> =>
      renderStatusPage(await rooms.status(), recovery, rooms.witnessing.summary());
    const watched = { ...rooms, clock: systemClock, notes: logger, root: instance.root };
    const watching = await beginWatching(watched, metrics, traces);
    const http = createHttpServer(watching.gate, status, logger, proxies);
    addAwsKms(http, { ...rooms, gate: watching.gate, hosts: awsKmsHosts });
    await unsealed?.release();
    const url = await listen(http, options.host, options.port, unsealed === undefined ? 0 : takeOverMs);
    // In recovery nothing is signed and nothing is done by itself.
    let work = recovery.length === 0 ? await beginWork(rooms, watching, logger, asked) : undefined;
    const waiting = isWaiting
      ? waitForWitnesses(ask, async (answered) => {
          recovery.splice(0, recovery.length, ...answered.contradictions, ...answered.forgotten);
          if (recovery.length === 0) work = await beginWork(rooms, watching, logger, answered);
        })
      : undefined;
    return {
      url,
      get state() {
        return recovery.length === 0 ? 'ready' : 'recovery';
      },
      reasons: recovery,
      close: async () => {
        rooms.readiness.stop();
        // Load balancers notice that it is not ready, and send nothing more; until they have, everybody is answered.
        if (recovery.length === 0) await pause(drainMs);
        await waiting?.end();
        await http.close();
        await watching.close();
        await work?.end();
        await instance.close();
      },
    };
  } catch (error) {
    await instance.close();
    throw error;
  }
}

/** What stands around the server, as the environment has it. @throws StartupError where one of it is not what the server reads */
function readSurroundings(env: NodeJS.ProcessEnv, listened: string) {
  return {
    drainMs: readDrainMs(env),
    proxies: readTrustedProxies(env),
    metrics: env['TRIALKEEP_METRICS_LISTEN'],
    traces: readTraceSettings(env),
    awsKmsHosts: readAwsKmsHosts(env, listened),
  };
}

/** Why the server is in recovery, whatever witnesses that did not answer would say. */
async function certainReasons(instance: OpenInstance, asked: AskedAtStart): Promise<string[]> {
  return [
    ...instance.recovery,
    ...(await unfinishedCatchUp(instance)),
    ...(await reconcile(instance)),
    ...asked.contradictions,
    ...asked.forgotten,
  ];
}

/** Where entries from a mirror were copied, and the rows are not in line with them yet. */
async function unfinishedCatchUp({ database, ledger }: OpenInstance): Promise<string[]> {
  const pending = await database.read(pendingLogs);
  return pending.map(
    (id) => `Catching up log ${ledger.log(id).origin} was interrupted: run trialkeep self catch-up again.`,
  );
}

/** Asks the witnesses and mirrors of every policy what they know of the database; says who did not answer. */
async function askWitnesses(instance: OpenInstance, notes: GateNotes): Promise<AskedAtStart> {
  const folder = new PolicyFolder(instance.directory.anchor);
  const asked = await askAtStart({ ...instance, clock: systemClock, notes }, folder);
  for (const reason of asked.unreached) notes.warn({ reason }, 'It could not be asked about the database.');
  return asked;
}

/** Starts what a server does by itself beside answering requests. */
async function beginWork(
  rooms: Rooms,
  watching: Watching,
  notes: GateNotes,
  { unknown }: AskedAtStart,
): Promise<{ end(): Promise<void> }> {
  const { ledger, facts, unauthenticated, jobs, effects, witnessing, rewraps } = rooms;
  await completeSeals(rooms);
  await completeLogKeys(rooms);
  await recoverApproved(rooms.database);
  await effects.recover();
  await jobs.start(rooms.handlers);
  await witnessing.start();
  rooms.objects.begin();
  await rewraps.start();
  if (unknown.length > 0) await recordSkipped(rooms, unknown);
  let polling: Promise<void> | undefined;
  let indexing: Promise<void> | undefined;
  const poll = async (): Promise<void> => {
    try {
      await watching.poll(rooms.poll);
    } catch (error) {
      notes.warn({ error: String(error) }, 'The database could not be asked what is new; trying again.');
    } finally {
      polling = undefined;
    }
  };
  const record = (all: boolean): Promise<void> =>
    recordUnauthenticated(ledger, facts, unauthenticated.take(all), notes);
  const timers = [
    setInterval(() => {
      polling ??= poll();
    }, pollIntervalMs),
    setInterval(() => {
      indexing ??= followLogs(ledger, notes).finally(() => (indexing = undefined));
    }, pollIntervalMs),
    setInterval(() => void record(false), unauthenticatedIntervalMs),
  ];
  return {
    end: async () => {
      timers.forEach(clearInterval);
      await polling;
      await indexing;
      await jobs.stop();
      await rewraps.stop();
      await witnessing.stop();
      await rooms.objects.end();
      await record(true);
      await ledger.stop();
      await anchorAll(ledger, notes);
    },
  };
}

/** Somebody had the server start although witnesses could not be asked whether the database is the newest. */
async function recordSkipped({ ledger, facts }: Rooms, unknown: readonly string[]): Promise<void> {
  const { id, origin, payloadKey } = ledger.instanceLog;
  const draft = { operation: 'witnessing.skip', outcome: 'success', recorded: {} } as const;
  await appendOwn(ledger, facts, id, sealDraft(draft, origin, { unknown }, payloadKey));
}

/** The last checkpoints before the end. A database that is away keeps nobody from stopping: another start signs them. */
async function anchorAll(ledger: Ledger, notes: GateNotes): Promise<void> {
  try {
    for (const log of ledger.logs) {
      await ledger.anchorNow(log.id);
      // The index too: another start then finds nothing to do.
      await log.integrate();
    }
  } catch (error) {
    notes.warn({ error: String(error) }, 'The last checkpoints could not be signed; the next start does it.');
  }
}
