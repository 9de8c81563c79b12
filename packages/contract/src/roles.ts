/**
 * Roles and what they grant. Deny by default: a permission that no role of the caller lists is refused (URS-019).
 * No role holds key administration together with
 * decryption; that one person does not hold both is for approvals and conflict rules to see to.
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
] as const;
export type Permission = (typeof permissions)[number];

export const roles = {
  /** Makes tenants and reads the instance's own ledger; sees none of the tenants' keys, data or ledgers. Belongs to the instance. */
  'instance-administrator': ['tenants:manage', 'tenants:read', 'ledger:read'],
  /** Key custodian of one tenant: systems, keys and credentials. Answers never carry plaintext to this role. */
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
    'ledger:read',
  ],
  /** A connected system: protects and processes with the keys that its credential names, and no others (URS-012). */
  service: ['subjects:manage', 'subjects:read', 'studies:read', 'keys:protect', 'keys:process'],
  /** Reads what revoked and compromised keys protected, each time with a reason; never protects. */
  'data-recovery': ['keys:read', 'keys:process', 'ledger:read'],
  /** Reads the ledger and the inventory. */
  auditor: ['studies:read', 'systems:read', 'subjects:read', 'credentials:read', 'keys:read', 'ledger:read'],
} as const satisfies Record<string, readonly Permission[]>;
export type Role = keyof typeof roles;

/** The roles that a custodian can give to a credential of the tenant. */
export const issuableRoles = [
  'service',
  'data-recovery',
  'auditor',
  'custodian',
] as const satisfies readonly Role[];
