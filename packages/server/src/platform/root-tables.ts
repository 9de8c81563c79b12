/** The rows of roots of trust, and of what is done to them. */
export interface RootTables {
  instance_root: {
    id: string;
    kind: string;
    folder: string;
    module: string;
    certificate: string | null;
    wrapped_key: Uint8Array | null;
    state: 'active' | 'standby' | 'retired';
    made_at: number;
    changed_at: number;
    seal: Uint8Array;
  };
  root_replacement: {
    id: string;
    root: string;
    reason: string;
    approval: string | null;
    break_glass: string | null;
    epoch: number;
    state: 'open' | 'ended';
    begun_at: number;
    ended_at: number | null;
    seal: Uint8Array;
  };
  root_replacement_log: {
    replacement: string;
    log: number;
    old_version: string;
    old_key: Uint8Array;
    state: 'open' | 'told' | 'ended';
    seal: Uint8Array;
  };
  root_permit: {
    id: string;
    change: 'add-standby' | 'activate' | 'retire' | 'replace';
    root: string | null;
    approval: string | null;
    granted_at: number;
    expires_at: number;
    used_at: number | null;
    seal: Uint8Array;
  };
}
