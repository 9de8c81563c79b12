import type { Authenticator } from './access/index.ts';
import type { OpenInstance } from './instance/index.ts';
import type { KeyNaming } from './keys/index.ts';
import { findAccount } from './systems/index.ts';

/** How the keys are named that belong to the tenant of an access key; undefined where no tenant has it. */
export function namingOfAccessKeys(
  authenticator: Authenticator,
  naming: (tenant: string) => Promise<KeyNaming>,
): (accessKey: string) => Promise<KeyNaming | undefined> {
  return async (accessKey) => {
    const tenant = await authenticator.tenantOfAccessKey(accessKey);
    return tenant === undefined ? undefined : naming(tenant);
  };
}

/** How the keys of tenants are named: that never changes. */
export function makeNaming({
  configuration,
  database,
}: OpenInstance): (tenant: string) => Promise<KeyNaming> {
  const accounts = new Map<string, Promise<string>>();
  return async (tenant) => {
    const account = accounts.get(tenant) ?? database.read((snapshot) => findAccount(snapshot, tenant));
    accounts.set(tenant, account);
    account.catch(() => accounts.delete(tenant));
    return { region: configuration.region, account: await account };
  };
}
