export { maxSignatureSkewMs, secretAnew } from './access-keys.ts';
export { Authenticator } from './authenticate.ts';
export type { Authenticated } from './authenticate.ts';
export { createCredential } from './credentials.ts';
export {
  activeCredentials,
  countActive,
  findCredential,
  insertCredential,
  listCredentials,
  revokeCredential,
} from './credential-store.ts';
export type { CredentialRow } from './credential-store.ts';
export { grantingRole, grants } from './grants.ts';
export { credentialImplementations, peopleImplementations } from './operations.ts';
export { Passwords } from './passwords.ts';
export { dropAccess } from './people.ts';
export { findPerson, listPersons, peopleWho, rewrapAuthenticators } from './people-store.ts';
export type { PersonRow } from './people-store.ts';
export { recoverAccess } from './recover.ts';
export type { DroppedPerson } from './recover.ts';
export { endSession, listSessions } from './session-store.ts';
export type { SessionRow } from './session-store.ts';
export { credentialTables } from './credential-store.ts';
export { peopleTables } from './people-store.ts';
export { sessionTables } from './session-store.ts';
