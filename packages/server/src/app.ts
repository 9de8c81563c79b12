import { openApiDocument, operations } from '@trialkeep/contract';
import type { OperationId } from '@trialkeep/contract';
import { Authenticator, credentialImplementations } from './access/index.ts';
import { UnauthenticatedCounter, ledgerImplementations, recordUnauthenticated } from './audit/index.ts';
import { Gate } from './gate.ts';
import { openInstance } from './instance/index.ts';
import type { OpenInstance } from './instance/index.ts';
import { keyImplementations } from './keys/index.ts';
import type { KeyNaming } from './keys/index.ts';
import { join } from 'node:path';
import { systemClock } from './platform/clock.ts';
import { FactsCache } from './platform/facts.ts';
import { createHttpServer, listen } from './platform/http.ts';
import type { Context, Implementations } from './platform/implementation.ts';
import type { ServerLogger } from './platform/log.ts';
import { statedLimits } from './platform/profile.ts';
import { SpaceReserve } from './platform/reserve.ts';
import { renderStatusPage } from './platform/status-page.ts';
import { reconcile } from './reconcile.ts';
import { findAccount, registryImplementations, tenantImplementations } from './systems/index.ts';
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
    logger.fatal({ error: error.message }, 'The database can no longer be written.');
    options.onFatal();
  };
  const instance = await openInstance(options.dataDirectory, { clock: systemClock, notes: logger, onDown });
  try {
    const { ledger } = instance;
    const recovery = [...instance.recovery, ...(await reconcile(instance))];
    const facts = new FactsCache(instance.database);
    const unauthenticated = new UnauthenticatedCounter(systemClock);
    const reserve = new SpaceReserve(join(instance.directory.state, 'reserve'), systemClock);
    if (!reserve.held())
      logger.warn({}, 'There is no room for the reserve: revocation may fail on a full disk.');
    const { implementations, status } = wire({ ...instance, recovery }, facts);
    const authenticator = new Authenticator({ ...instance, facts, logOf: (id) => ledger.log(id) });
    const gate = new Gate({
      ...instance,
      authenticator,
      facts,
      unauthenticated,
      implementations,
      clock: systemClock,
      notes: logger,
      recovery,
      reserve,
    });
    const http = createHttpServer(gate, async () => renderStatusPage(await status(), recovery), logger);
    const url = await listen(http, options.host, options.port);
    const record = (all: boolean): Promise<void> =>
      recordUnauthenticated(ledger, facts, unauthenticated.take(all), logger);
    const timer = setInterval(() => void record(false), unauthenticatedIntervalMs);
    if (recovery.length === 0) ledger.start();
    return {
      url,
      state: recovery.length === 0 ? 'ready' : 'recovery',
      reasons: recovery,
      close: async () => {
        clearInterval(timer);
        await http.close();
        if (recovery.length === 0) await record(true);
        await instance.close();
      },
    };
  } catch (error) {
    await instance.close();
    throw error;
  }
}

/** Binds every operation of the contract; the compiler refuses a contract with an operation that nothing implements. */
export function wire(instance: OpenInstance, facts: FactsCache) {
  const { configuration, database, hierarchy, ledger, recovery, root } = instance;
  const accounts = new Map<string, Promise<string>>();
  const naming = async (tenant: string): Promise<KeyNaming> => {
    const account = accounts.get(tenant) ?? database.read((snapshot) => findAccount(snapshot, tenant));
    accounts.set(tenant, account);
    account.catch(() => accounts.delete(tenant));
    return { region: configuration.region, account: await account };
  };
  const authenticator = new Authenticator({ ...instance, facts, logOf: (id) => ledger.log(id) });
  const keysOf = async ({ caller, facts: read }: Context<OperationId>): Promise<ReadonlySet<string>> =>
    (await authenticator.credential(read, caller.log, caller.credential))?.keys ?? new Set();
  const status = async () => ({
    state: recovery.length === 0 ? ('ready' as const) : ('recovery' as const),
    profile: configuration.profile,
    version,
    rootOfTrust: root.kind,
    limits: statedLimits(configuration.profile),
  });
  const implementations: Implementations = {
    'instance.status': status,
    'instance.openapi': async () => openApiDocument(Object.values(operations), version),
    ...tenantImplementations({ hierarchy, ledger, origin: configuration.origin }),
    ...registryImplementations(hierarchy),
    ...credentialImplementations(hierarchy),
    ...keyImplementations({ hierarchy, naming, keysOf }),
    ...ledgerImplementations({ database, hierarchy, ledger }),
  };
  return { implementations, status };
}
