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
] as const;
export type Permission = (typeof permissions)[number];

export const roles = {
  /** Makes tenants and reads the instance's own ledger; sees none of the tenants' keys, data or ledgers. Belongs to the instance. */
  'instance-administrator': [
    'tenants:manage',
    'tenants:read',
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
  ],
  /** Decides on what others ask for; manages nothing. */
  approver: [
    'keys:read',
    'systems:read',
    'studies:read',
    'people:read',
    'approvals:read',
    'approvals:decide',
    'signatures:read',
    'evidence:make',
    'ledger:read',
  ],
  /** A connected system: protects and processes with the keys that its credential names, and no others (URS-012). */
  service: [
    'subjects:manage',
    'subjects:read',
    'studies:read',
    'keys:protect',
    'keys:process',
    'uses:report',
  ],
  /** Reads what revoked and compromised keys protected, each time with a reason; never protects. */
  'data-recovery': ['keys:read', 'keys:process', 'uses:report', 'ledger:read'],
  /** Reads the ledger and the inventory, and reviews the audit trail. */
  auditor: [
    'studies:read',
    'systems:read',
    'subjects:read',
    'credentials:read',
    'keys:read',
    'people:read',
    'approvals:read',
    'signatures:read',
    'evidence:make',
    'ledger:read',
    'reviews:do',
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
] as const satisfies readonly Role[];
/** The roles that a person of the instance can have. */
export const instancePersonRoles = ['instance-administrator'] as const satisfies readonly Role[];

/** Permissions that nobody holds together, whatever roles they come from (URS-020). */
export const conflictingPermissions: readonly (readonly [Permission, Permission])[] = [
  ['keys:manage', 'keys:process'],
  ['keys:manage', 'keys:protect'],
];

/** The first pair of permissions that these roles together would hold and nobody may; undefined where there is none. */
export function conflictOf(held: readonly Role[]): readonly [Permission, Permission] | undefined {
  const permitted = new Set<Permission>(held.flatMap((role) => roles[role]));
  return conflictingPermissions.find(([one, other]) => permitted.has(one) && permitted.has(other));
}
