import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { dataDirectory, readConfiguration } from '../platform/config.ts';
import type { DataDirectory, Profile } from '../platform/config.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import { describeRoot, makeRoot, openRootOnly } from '../roots/index.ts';
import type { RootKind, RootOfTrust, RootSettings } from '../roots/index.ts';

const idPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What opens without people: shares do not, and a lease ends at any time of the day. */
const suitableKinds: ReadonlySet<RootKind> = new Set(['passphrase', 'pkcs11', 'aws-kms', 'azure-key-vault']);

/**
 * The roots of trust of tenants, where the operator has put them: `<folder>/<tenant>/<root>/root.json`. Every node has the same. The
 * tenant stands in the path, so that no tenant names the root of another.
 */
export class TenantRootFolder {
  readonly path: string;
  readonly #profile: Profile;

  /** @param environment TRIALKEEP_TENANT_ROOTS names another folder than `tenant-roots` of the data directory */
  constructor(directory: Pick<DataDirectory, 'path'>, profile: Profile, environment = process.env) {
    const named = environment['TRIALKEEP_TENANT_ROOTS'];
    if (named !== undefined && !isAbsolute(named)) {
      throw new StartupError('config.invalid', 'TRIALKEEP_TENANT_ROOTS: an absolute path is wanted.');
    }
    this.path = named ?? join(directory.path, 'tenant-roots');
    this.#profile = profile;
  }

  /** The ids of a tenant's roots that are here. */
  list(tenant: string): string[] {
    const folder = join(this.path, tenant);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((id) => idPattern.test(id))
      .sort();
  }

  /** @throws OperationError `tenant.root_unknown`, `tenant.root_unsuitable`; StartupError as opening a root */
  async open(tenant: string, id: string): Promise<RootOfTrust> {
    const folder = this.#folderOf(tenant, id);
    const described = describeRoot(folder);
    this.#assertSuitable(described);
    if (described.id !== id) {
      throw new OperationError('tenant.root_unsuitable', {
        detail: `Its root.json is of root ${described.id}.`,
      });
    }
    return openRootOnly(folder);
  }

  /** What the operator wrote of a root; no secret. @throws OperationError, StartupError as `open` */
  describe(tenant: string, id: string): { readonly kind: RootKind; readonly certificate?: string } {
    return describeRoot(this.#folderOf(tenant, id));
  }

  #folderOf(tenant: string, id: string): string {
    if (!idPattern.test(tenant) || !idPattern.test(id)) throw new TypeError('Not the id of a root.');
    const folder = join(this.path, tenant, id);
    if (!existsSync(join(folder, 'root.json'))) {
      throw new OperationError('tenant.root_unknown', { field: '/root' });
    }
    return folder;
  }

  /** Makes a root for a tenant as its settings say; nothing is wrapped under it yet. Gives its id. */
  async make(
    tenant: string,
    settings: RootSettings,
  ): Promise<{ readonly id: string; readonly folder: string }> {
    if (!idPattern.test(tenant)) throw new StartupError('config.invalid', 'The id of a tenant is wanted.');
    this.#assertSuitable(settings);
    const parent = join(this.path, tenant);
    for (const folder of [this.path, parent]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      chmodSync(folder, 0o700);
    }
    const making = join(parent, `new-${newId()}`);
    const root = await makeRoot(making, settings);
    await root.close();
    const folder = join(parent, root.id);
    renameSync(making, folder);
    return { id: root.id, folder };
  }

  #assertSuitable({ kind, certificate }: { readonly kind: RootKind; readonly certificate?: string }): void {
    if (!suitableKinds.has(kind)) {
      throw new OperationError('tenant.root_unsuitable', { detail: `${kind} does not open by itself.` });
    }
    if (this.#profile !== 'regulated') return;
    if (kind === 'passphrase' || certificate === undefined) {
      const detail = 'The regulated profile wants a module with its certificate.';
      throw new OperationError('tenant.root_unsuitable', { detail });
    }
  }
}

/**
 * Makes a root for a tenant beside a running server or without one, as an operator does; nothing is wrapped under it yet. Its folder is
 * copied to every node.
 *
 * @throws StartupError of the settings and the module
 */
export async function makeTenantRoot(
  data: string,
  tenant: string,
  settings: RootSettings,
): Promise<{ readonly id: string; readonly folder: string }> {
  const directory = dataDirectory(data);
  const { profile } = readConfiguration(directory);
  return new TenantRootFolder(directory, profile).make(tenant, settings);
}
