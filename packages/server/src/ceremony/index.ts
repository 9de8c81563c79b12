export { endCeremony, holdShares, readCeremonyRequest } from './ceremony.ts';
export { ceremonyOperation, ceremonyRecorder } from './record.ts';
export { UnsealingsFolder } from './unsealings-folder.ts';
