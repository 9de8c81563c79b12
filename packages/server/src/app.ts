import { CryptoError } from '@trialkeep/crypto';
import { openApiDocument, operations } from '@trialkeep/contract';
import type { OperationId } from '@trialkeep/contract';
import {
  Authenticator,
  Passwords,
  credentialImplementations,
  peopleImplementations,
} from './access/index.ts';
import {
  approvalImplementations,
  executionTask,
  findApproval,
  recoverApproved,
  requestBytes,
} from './approvals/index.ts';
import {
  UnauthenticatedCounter,
  checkpointHandler,
  checkpointTask,
  ledgerImplementations,
  recordUnauthenticated,
} from './audit/index.ts';
import type { Ledger } from './audit/index.ts';
import { carryOutApproved } from './carry-out.ts';
import { Commits } from './commit.ts';
import { Effects, shredRemoval } from './effects/index.ts';
import { Gate } from './gate.ts';
import type { GateNotes } from './gate.ts';
import { openInstance } from './instance/index.ts';
import type { OpenInstance } from './instance/index.ts';
import { keyImplementations, rotationHandler, rotationTask } from './keys/index.ts';
import type { KeyNaming } from './keys/index.ts';
import { OperationError, StartupError } from './platform/errors.ts';
import { systemClock } from './platform/clock.ts';
import type { Clock } from './platform/clock.ts';
import { FactsCache } from './platform/facts.ts';
import type { Facts } from './platform/facts.ts';
import { createHttpServer, listen } from './platform/http.ts';
import type { Context, Implementations, Log } from './platform/implementation.ts';
import { JobRunner } from './platform/jobs/index.ts';
import type { JobHandler } from './platform/jobs/index.ts';
import type { ServerLogger } from './platform/log.ts';
import { statedLimits } from './platform/profile.ts';
import { renderStatusPage } from './platform/status-page.ts';
import { reconcile } from './reconcile.ts';
import { signatureImplementations } from './signatures/index.ts';
import {
  completeSeals,
  findAccount,
  registryImplementations,
  sealImplementations,
  tenantImplementations,
} from './systems/index.ts';
import { useImplementations } from './uses/index.ts';
import { version } from './version.ts';

/** A server that listens. */
export interface RunningServer {
  readonly url: string;
  readonly state: 'ready' | 'recovery';
  /** Why it is in recovery. */
  readonly reasons: readonly string[];
  /** Answers what is under way, writes what is left to record, and gives the data directory back. */
  close(): Promise<void>;
}

/** How often refusals of unknown callers are looked through. */
const unauthenticatedIntervalMs = 10_000;
/** How often every log is looked at for what other nodes have done and what is left to sign: the freshness of design section 4. */
const pollIntervalMs = 1000;

/** Reads the configuration, opens the database, wires the rooms together, listens. */
export async function startServer(options: {
  dataDirectory: string;
  host: string;
  port: number;
  logger: ServerLogger;
  /** Called when the server cannot go on. */
  onFatal: () => void;
}): Promise<RunningServer> {
  const { logger } = options;
  const onDown = (error: Error): void => {
    logger.fatal({ error: error.message }, 'The database can no longer be used.');
    options.onFatal();
  };
  const instance = await openInstance(options.dataDirectory, { clock: systemClock, notes: logger, onDown });
  try {
    if (!instance.reserve.held())
      logger.warn({}, 'There is no room for the reserve: revocation may fail on a full disk.');
    const recovery = [...instance.recovery, ...(await reconcile(instance))];
    const rooms = wire({ ...instance, recovery }, { clock: systemClock, notes: logger });
    const status = async (): Promise<string> => renderStatusPage(await rooms.status(), recovery);
    const http = createHttpServer(rooms.gate, status, logger);
    const url = await listen(http, options.host, options.port);
    // In recovery nothing is signed and nothing is done by itself.
    const work = recovery.length === 0 ? await beginWork(rooms, logger) : undefined;
    return {
      url,
      state: recovery.length === 0 ? 'ready' : 'recovery',
      reasons: recovery,
      close: async () => {
        await http.close();
        await work?.end();
        await instance.close();
      },
    };
  } catch (error) {
    await instance.close();
    throw error;
  }
}

/** Starts what a server does by itself beside answering requests. */
async function beginWork(rooms: Rooms, notes: GateNotes): Promise<{ end(): Promise<void> }> {
  const { ledger, facts, unauthenticated, jobs, effects } = rooms;
  await completeSeals(rooms);
  await recoverApproved(rooms.database);
  await effects.recover();
  await jobs.start(rooms.handlers);
  let polling: Promise<void> | undefined;
  const poll = async (): Promise<void> => {
    try {
      await rooms.poll();
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
    setInterval(() => void record(false), unauthenticatedIntervalMs),
  ];
  return {
    end: async () => {
      timers.forEach(clearInterval);
      await polling;
      await jobs.stop();
      await record(true);
      await ledger.stop();
      await anchorAll(ledger, notes);
    },
  };
}

/** The last checkpoints before the end. A database that is away keeps nobody from stopping: another start signs them. */
async function anchorAll(ledger: Ledger, notes: GateNotes): Promise<void> {
  try {
    for (const { id } of ledger.logs) await ledger.anchorNow(id);
  } catch (error) {
    notes.warn({ error: String(error) }, 'The last checkpoints could not be signed; the next start does it.');
  }
}

/** Everything that answers requests and works by itself. */
export type Rooms = ReturnType<typeof wire>;

/**
 * Wires the rooms of an opened instance together.
 *
 * @param options.hook puts other behaviour in the place of operations; for tests
 * @param options.passwords how passwords are hashed, where not as usual; for tests
 */
export function wire(
  instance: OpenInstance,
  options: {
    clock: Clock;
    notes: GateNotes;
    hook?: (bound: Implementations) => Implementations;
    passwords?: Passwords;
  },
) {
  const { database, hierarchy, ledger, shred } = instance;
  const { clock, notes, hook = (bound) => bound, passwords = new Passwords() } = options;
  const facts = new FactsCache(database, (log) => {
    // Another node may have destroyed keys; what is still needed is unwrapped again.
    const tenant = ledger.logs.find(({ id }) => id === log)?.tenant;
    if (tenant !== null && tenant !== undefined) hierarchy.releaseTenant(tenant);
  });
  const authenticator = new Authenticator({
    database,
    hierarchy,
    facts,
    logOf: (id) => ledger.open(id),
    clock,
    passwords,
  });
  const jobs = new JobRunner({ database, clock, notes });
  const forget = (tenant: string): void => hierarchy.releaseTenant(tenant);
  const kinds = { 'shred.remove': shredRemoval({ shred, forget }) };
  const effects = new Effects({ database, hierarchy, ledger, facts, kinds });
  const status = statusOf(instance);
  const parts = { ...instance, facts, authenticator, clock, notes };
  const implementations = hook({
    'instance.status': status,
    ...bind(instance, { authenticator, passwords, wake: () => jobs.wake() }),
  });
  const commits = new Commits(parts);
  const unauthenticated = new UnauthenticatedCounter(clock);
  const gate = new Gate({ ...parts, unauthenticated, implementations, commits });
  const handlers: Record<string, JobHandler> = {
    [executionTask]: carryOutApproved({ ...parts, implementations, commits }),
    [rotationTask]: rotationHandler(parts),
    [checkpointTask]: checkpointHandler(ledger),
    ...effects.handlers(),
  };
  const poll = async (): Promise<void> => {
    await facts.poll();
    await ledger.poll();
    jobs.wake();
  };
  return {
    database,
    hierarchy,
    gate,
    ledger,
    facts,
    unauthenticated,
    jobs,
    effects,
    handlers,
    implementations,
    status,
    poll,
  };
}

/** Binds every operation of the contract; the compiler refuses a contract with an operation that nothing implements. */
function bind(
  instance: OpenInstance,
  {
    authenticator,
    passwords,
    wake,
  }: { authenticator: Authenticator; passwords: Passwords; wake: () => void },
): Omit<Implementations, 'instance.status'> {
  const { configuration, database, hierarchy, ledger } = instance;
  const accounts = new Map<string, Promise<string>>();
  const naming = async (tenant: string): Promise<KeyNaming> => {
    const account = accounts.get(tenant) ?? database.read((snapshot) => findAccount(snapshot, tenant));
    accounts.set(tenant, account);
    account.catch(() => accounts.delete(tenant));
    return { region: configuration.region, account: await account };
  };
  const keysOf = async ({ caller, facts }: Context<OperationId>): Promise<ReadonlySet<string>> =>
    (await authenticator.credential(facts, caller.log, caller.actor))?.keys ?? new Set();
  const documentOf = async (facts: Facts, log: Log, approval: string): Promise<Uint8Array | undefined> => {
    const rowKey = await hierarchy.rowKey(log.tenant);
    try {
      const found = await facts.read((snapshot) => findApproval(snapshot, rowKey, log.id, approval));
      return found && requestBytes(ledger.log(log.id).payloadKey, log, found.row);
    } catch (error) {
      if (isAltered(error)) return undefined;
      throw error;
    }
  };
  return {
    'instance.openapi': async () => openApiDocument(Object.values(operations), version),
    ...tenantImplementations({ hierarchy, ledger, origin: configuration.origin }),
    ...sealImplementations(hierarchy),
    ...registryImplementations({ hierarchy, wake }),
    ...credentialImplementations(hierarchy),
    ...peopleImplementations({ hierarchy, passwords }),
    ...approvalImplementations({ hierarchy, ledger, wake }),
    ...signatureImplementations({ hierarchy, documentOf }),
    ...keyImplementations({ hierarchy, naming, keysOf }),
    ...useImplementations(hierarchy),
    ...ledgerImplementations({ database, hierarchy, ledger }),
  };
}

/** Whether what was read is not what was written. */
function isAltered(error: unknown): boolean {
  if (error instanceof CryptoError) return true;
  if (error instanceof StartupError) return error.code === 'database.altered';
  return error instanceof OperationError && error.code === 'server.data_altered';
}

function statusOf({ configuration, database, recovery, root }: OpenInstance) {
  return async () => ({
    state: recovery.length === 0 ? ('ready' as const) : ('recovery' as const),
    profile: configuration.profile,
    version,
    rootOfTrust: root.kind,
    limits: statedLimits(configuration.profile, database.dialect),
  });
}
