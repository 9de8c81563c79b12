/** The tables of tenants that hold their own keys, and of who else can open their data. */
export interface TenantRootTables {
  tenant_root: {
    tenant: string;
    root: string | null;
    wrapped_key: Uint8Array;
    wrapped_row_key: Uint8Array;
    lease_seconds: number;
    version: number;
    changed_at: number;
    seal: Uint8Array;
  };
  second_recipient: {
    id: string;
    tenant: string;
    name: string;
    study: string | null;
    system: string | null;
    covers: 'all' | 'investigator-controlled';
    file: string;
    state: 'registered' | 'removed' | 'lost';
    registered_at: number;
    changed_at: number;
    seal: Uint8Array;
  };
}
