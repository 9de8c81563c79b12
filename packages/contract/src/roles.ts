/**
 * Roles and what they grant. Deny by default: a permission that no role of the caller lists is refused (URS-019).
 * No role holds key administration together with decryption, and no person roles that do so together.
 */
export const permissions = [
  'tenants:manage',
  'tenants:read',
  'studies:manage',
  'studies:read',
  'systems:manage',
  'systems:read',
  'subjects:manage',
  'subjects:read',
  'credentials:manage',
  'credentials:read',
  'keys:manage',
  'keys:read',
  'keys:protect',
  'keys:process',
  'keys:public',
  'ledger:read',
  'ledger:manage',
  'people:manage',
  'people:read',
  'approvals:read',
  'approvals:decide',
  'signatures:read',
  'seal:manage',
  'uses:report',
  'witnessing:manage',
  'payloads:redact',
  'reviews:manage',
  'reviews:do',
  'evidence:make',
  'revocations:do',
  'holds:place',
  'holds:release',
  'holds:read',
  'holders:manage',
  'holders:read',
  'roots:manage',
] as const;
export type Permission = (typeof permissions)[number];

export const roles = {
  /** Makes tenants and reads the instance's own ledger; sees none of the tenants' keys, data or ledgers. Belongs to the instance. */
  'instance-administrator': [
    'tenants:manage',
    'tenants:read',
    'roots:manage',
    'people:manage',
    'people:read',
    'approvals:read',
    'approvals:decide',
    'signatures:read',
    'ledger:read',
    'ledger:manage',
    'witnessing:manage',
    'payloads:redact',
    'reviews:manage',
    'reviews:do',
    'evidence:make',
    'holders:manage',
    'holders:read',
  ],
  /** Key custodian of one tenant: systems, keys, credentials and people. Answers never carry plaintext to this role. */
  custodian: [
    'studies:manage',
    'studies:read',
    'systems:manage',
    'systems:read',
    'subjects:manage',
    'subjects:read',
    'credentials:manage',
    'credentials:read',
    'keys:manage',
    'keys:read',
    'keys:public',
    'people:manage',
    'people:read',
    'approvals:read',
    'approvals:decide',
    'signatures:read',
    'seal:manage',
    'uses:report',
    'evidence:make',
    'ledger:read',
    'ledger:manage',
    'witnessing:manage',
    'payloads:redact',
    'reviews:manage',
    'revocations:do',
    'holds:place',
    'holds:read',
    'holders:manage',
    'holders:read',
  ],
  /** Decides on what others ask for; manages nothing. */
  approver: [
    'keys:read',
    'keys:public',
    'systems:read',
    'studies:read',
    'people:read',
    'approvals:read',
    'approvals:decide',
    'signatures:read',
    'evidence:make',
    'ledger:read',
    'holds:read',
    'holders:read',
  ],
  /** A connected system: protects and processes with the keys that its credential names, and no others (URS-012). */
  service: [
    'subjects:manage',
    'subjects:read',
    'studies:read',
    'keys:protect',
    'keys:process',
    'keys:public',
    'uses:report',
  ],
  /** Reads what revoked and compromised keys protected, each time with a reason; never protects. */
  'data-recovery': ['keys:read', 'keys:process', 'keys:public', 'uses:report', 'ledger:read'],
  /** Reads the ledger and the inventory, and reviews the audit trail. */
  auditor: [
    'studies:read',
    'systems:read',
    'subjects:read',
    'credentials:read',
    'keys:read',
    'keys:public',
    'people:read',
    'approvals:read',
    'signatures:read',
    'evidence:make',
    'ledger:read',
    'reviews:do',
    'holds:read',
    'holders:read',
  ],
  /** Says what must be kept, and when not any more; destroys and erases nothing. */
  'records-manager': [
    'studies:read',
    'systems:read',
    'subjects:read',
    'keys:read',
    'people:read',
    'approvals:read',
    'approvals:decide',
    'signatures:read',
    'evidence:make',
    'ledger:read',
    'holds:place',
    'holds:release',
    'holds:read',
    'holders:read',
  ],
} as const satisfies Record<string, readonly Permission[]>;
export type Role = keyof typeof roles;

/** The roles that a custodian can give to a credential of the tenant. */
export const issuableRoles = [
  'service',
  'data-recovery',
  'auditor',
  'custodian',
] as const satisfies readonly Role[];

/** The roles that a person of a tenant can have; a person may have several. */
export const tenantPersonRoles = [
  'custodian',
  'approver',
  'data-recovery',
  'auditor',
  'records-manager',
] as const satisfies readonly Role[];
/** The roles that a person of the instance can have. */
export const instancePersonRoles = ['instance-administrator'] as const satisfies readonly Role[];

/** Permissions that nobody holds together, whatever roles they come from (URS-020). */
export const conflictingPermissions: readonly (readonly [Permission, Permission])[] = [
  ['keys:manage', 'keys:process'],
  ['keys:manage', 'keys:protect'],
  // Who destroys keys, or erases, does not end what stands against it (URS-006).
  ['keys:manage', 'holds:release'],
  ['subjects:manage', 'holds:release'],
];

/** The first pair of permissions that these roles together would hold and nobody may; undefined where there is none. */
export function conflictOf(held: readonly Role[]): readonly [Permission, Permission] | undefined {
  const permitted = new Set<Permission>(held.flatMap((role) => roles[role]));
  return conflictingPermissions.find(([one, other]) => permitted.has(one) && permitted.has(other));
}
