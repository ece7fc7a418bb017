/** What the tests of the hub share: a server, a cache of each test's own, and the environment put back afterwards. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BUNDLED_MODEL } from './bundled-model';
import { HubServer, type Repository } from './hub-server';

const VARIABLES =
  /^(?:HF_\w+|HUGGING\w+|TRANSFORMERS_OFFLINE|XDG_CACHE_HOME|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY)$/;

/** The files of the bundled model that a checkpoint on the hub has: configurations and weights. */
export function checkpointFiles(): Map<string, Buffer> {
  const names = ['config.json', 'processor_config.json', 'model.safetensors'];
  return new Map(names.map((name) => [name, readFileSync(path.join(BUNDLED_MODEL, name))]));
}

/** A server and a cache for the tests of one `describe`; every test gets a fresh cache and no faults. */
export class HubFixture {
  server!: HubServer;
  /** HF_HOME of the test. */
  home = '';
  #environment: NodeJS.ProcessEnv = {};

  constructor() {
    before(async () => {
      this.server = await HubServer.start();
    });
    beforeEach(() => {
      this.#environment = { ...process.env };
      for (const name of Object.keys(process.env)) if (VARIABLES.test(name)) delete process.env[name];
      this.home = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-hub-'));
      process.env.HF_HOME = this.home;
      process.env.HF_ENDPOINT = this.server.endpoint;
      this.server.reset();
      this.server.repositories.clear();
      this.add('tests/tiny', { files: checkpointFiles() });
    });
    afterEach(() => {
      for (const name of Object.keys(process.env)) if (VARIABLES.test(name)) delete process.env[name];
      Object.assign(process.env, this.#environment);
      rmSync(this.home, { recursive: true, force: true });
    });
    after(() => this.server.stop());
  }

  /** Puts a repository on the server. */
  add(id: string, repository: Repository): Repository {
    this.server.repositories.set(id, repository);
    return repository;
  }

  /** The cache folder of a repository. */
  folder(id = 'tests/tiny'): string {
    return path.join(this.home, 'hub', `models--${id.replace('/', '--')}`);
  }

  /** Names in a subfolder of a repository's cache folder, sorted; none where there is no such folder. */
  names(subfolder: string, id = 'tests/tiny'): string[] {
    try {
      return readdirSync(path.join(this.folder(id), subfolder)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
}
