import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ownPostgresCluster, postgresMissing } from '../../../../../tools/postgres-cluster.ts';
import { makeSelfSigned, opensslMissing } from '../../../../../tools/self-signed.ts';
import { createDatabase, openDatabase } from '../database.ts';
import { openAgain, refusal } from './fixture.test.ts';
import { parsePostgresUrl } from './location.ts';

const skip = postgresMissing || opensslMissing;

test(
  'PostgreSQL: across a network the server proves who it is, and a certificate can be the login [URS-011]',
  { skip },
  async (t) => {
    const cluster = await ownPostgresCluster();
    // Everything below 127 is this machine; one of its addresses has no other server.
    const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    const server = makeSelfSigned(cluster.host, `IP:${address}`);
    const client = makeSelfSigned(cluster.host, 'DNS:app', 'app');
    const { uid, gid } = statSync(cluster.dataFolder);
    chownSync(server.key, uid, gid);
    const rules = join(cluster.dataFolder, 'pg_hba.conf');
    writeFileSync(rules, `hostssl all all 127.0.0.0/8 cert\n${readFileSync(rules, 'utf8')}`);
    await cluster.configure({
      listen_addresses: address,
      ssl: 'on',
      ssl_cert_file: server.certificate,
      ssl_key_file: server.key,
      ssl_ca_file: client.certificate,
    });
    await cluster.restart();
    cluster.run('create role app login');
    const name = cluster.newDatabase('owner app');
    const locate = (host: string, ca: string) =>
      parsePostgresUrl(
        `postgresql://app@${host}/${name}?sslmode=verify-full&sslrootcert=${ca}&sslcert=${client.certificate}&sslkey=${client.key}`,
        'TRIALKEEP_DATABASE',
      );
    const location = locate(address, server.certificate);
    await createDatabase(location, 'main', 'installation');
    const database = await openAgain(t, location);
    await database.read(async (tx) => tx.selectFrom('tenant').selectAll().execute());
    assert.equal(
      cluster.run(
        `select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'app'`,
      ),
      't',
    );

    const otherAuthority = locate(address, client.certificate);
    await assert.rejects(async () => openDatabase(otherAuthority, 'main'), refusal('database.unreachable'));
    // The same server under an address that its certificate does not name.
    cluster.run(`alter system set listen_addresses = '${address}, 127.0.0.9'`);
    await cluster.restart();
    const otherName = locate('127.0.0.9', server.certificate);
    await assert.rejects(
      async () => openDatabase(otherName, 'main'),
      refusal('database.unreachable', /ALTNAME/),
    );
    const noCertificate = { ...location, tls: { ca: server.certificate } };
    await assert.rejects(async () => openDatabase(noCertificate, 'main'), refusal('database.login_refused'));
  },
);
