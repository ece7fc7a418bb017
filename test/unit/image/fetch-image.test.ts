/** Where RawImage.read takes images from, and what it refuses: paths, URLs, base64 and formats. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { isPublicAddress } from '../../../lib/core/http';
import { load_image, RawImage, type RawImageInput } from '../../../lib/image/raw-image';
import type { RawImageReadOptions } from '../../../lib/image/read-options';
import { reference } from '../../support/python';

const ROW = { width: 5, height: 4, channels: 3 } as const;
const pixels = Uint8Array.from({ length: 60 }, (_, index) => (index * 37) % 256);

/** The error of a read, whose message is one short line. */
async function failure(
  input: RawImageInput,
  options?: RawImageReadOptions,
): Promise<[code: string, message: string]> {
  const error = (await RawImage.read(input, options).then(
    () => assert.fail('was read'),
    (reason: unknown) => reason,
  )) as Error & { code: string };
  assert.ok(error.message.length < 600, `${error.message.length} characters`);
  assert.ok(!error.message.includes('\n'), error.message);
  return [error.code, error.message];
}

async function withServer(answer: RequestListener, use: (base: string) => Promise<void>): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('sources of images', () => {
  let directory: string;
  let png: Buffer;
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'fetch-image-'));
    png = await sharp(pixels, { raw: ROW }).png().toBuffer();
  });
  after(() => rm(directory, { recursive: true }));

  it('takes base64 and data URLs as load_image does', async function () {
    const python = reference(path.join(__dirname, '..', '..', 'support', 'image_grid_reference.py'), this);
    const base64 = png.toString('base64');
    const sources = [
      base64,
      base64.replace(/.{20}/g, '$&\n'),
      `data:image/png;base64,${base64}`,
      `data:image/jpeg,${base64}`,
      `data:image/png;charset=utf-8;base64,${base64.replace(/.{20}/g, '$&\n')}`,
    ];
    const answers = (await python.result('load_images', { sources })) as string[];
    for (const [index, source] of sources.entries())
      assert.deepEqual(
        Buffer.from((await load_image(source)).rgb().data),
        Buffer.from(answers[index], 'base64'),
        source.slice(0, 40),
      );
    assert.deepEqual(
      (await RawImage.read(`data:image/png;base64,${encodeURIComponent(base64)}`)).size,
      [5, 4],
    );
  });

  it('keeps messages short whatever they quote', async () => {
    const long = 'x'.repeat(8_000_000);
    assert.deepEqual((await failure(long))[0], 'FILE_NOT_FOUND');
    assert.deepEqual((await failure(`photos/\0${long}`))[0], 'FILE_NOT_FOUND');
    assert.deepEqual((await failure(`data:image/png;base64,${long}`))[0], 'IMAGE_INVALID');
    assert.deepEqual((await failure(`data:${long}`))[0], 'IMAGE_INVALID');
    assert.deepEqual((await failure(`http://[${long}`))[0], 'DOWNLOAD_FAILED');
    for (const options of [
      { [long]: 1 },
      { timeout: long },
      { timeout: [[[[[[[[long]]]]]]]] },
      { signal: [long] },
    ])
      await assert.rejects(
        RawImage.read(png, options as never),
        (error: Error) => error.message.length < 700,
      );
    await assert.rejects(RawImage.read({ [long]: 1 } as never), (error: Error) => error.message.length < 300);
    await assert.rejects(
      RawImage.read((10n ** 100_000n) as never),
      (error: Error) => error.message.length < 300,
    );
  });

  it('names the formats that it does not decode, and what to do', async () => {
    const avif = await sharp(pixels, { raw: ROW }).avif().toBuffer();
    // No encoder of HEVC is at hand: the container says so, which is all that the decoder looks at.
    const heic = Buffer.from(
      avif.toString('latin1').replaceAll('avif', 'heic').replaceAll('av01', 'hvc1'),
      'latin1',
    );
    const svg = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="3" height="2"/>';
    const refused: [Buffer, RegExp][] = [
      [heic, /is HEIC, which this build of sharp does not decode: convert it to JPEG or PNG/],
      [Buffer.from('\0\0\0\x0cjP  \r\n\x87\n', 'latin1'), /is JPEG 2000, which this build/],
      [Buffer.from('\xff\x0a\0\0', 'latin1'), /is JPEG XL, which this build/],
      [Buffer.from('BM\x36\0\0\0'), /is BMP, which is not supported: convert it to PNG or JPEG/],
      [Buffer.from('%PDF-1.7\n'), /is PDF, which is not supported/],
      [Buffer.from('P6 1 1 255 abc'), /is PNM, which is not supported/],
      [Buffer.from('%!PS-Adobe'), /is PostScript, which is not supported/],
      [Buffer.from('\x1f\x8b\x08', 'latin1'), /is gzip, which is not supported/],
      [Buffer.from(svg), /is SVG, a program that draws: pass \{ svg: true \}/],
      [Buffer.from(`GIF89a ${svg}`), /is a GIF that is corrupt/],
    ];
    for (const [bytes, message] of refused) {
      const [code, said] = await failure(bytes);
      assert.equal(code, 'IMAGE_INVALID');
      assert.match(said, message);
    }
    assert.deepEqual((await RawImage.read(Buffer.from(svg), { svg: true })).size, [3, 2]);
    assert.deepEqual((await RawImage.read(`data:image/svg+xml,${svg}`, { svg: true })).size, [3, 2]);
  });

  it('gives up decoding at the time limit and at the signal', async function () {
    const filter = '<filter id="f"><feTurbulence baseFrequency="0.5" numOctaves="40"/></filter>';
    const side = 'width="600" height="600"';
    const svg = Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" ${side}>${filter}<rect ${side} filter="url(#f)"/></svg>`,
    );
    assert.match(
      (await failure(svg, { svg: true, timeout: 0.05 }))[1],
      /was not decoded within 0\.05 seconds\.$/,
    );
    const reason = new Error('no longer wanted');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    const read = RawImage.read(svg, { svg: true, signal: controller.signal });
    await assert.rejects(read, (error) => error === reason);
    await assert.rejects(
      RawImage.read(png, { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    );
  });

  it('reads regular files only, up to a size', async function () {
    const file = path.join(directory, 'image.png');
    await writeFile(file, png);
    const limit = png.length;
    assert.deepEqual((await RawImage.read(file, { limitInputBytes: limit })).size, [5, 4]);
    for (const input of [file, `data:image/png;base64,${png.toString('base64')}`, png.toString('base64')])
      assert.equal((await failure(input, { limitInputBytes: limit - 1 }))[0], 'IMAGE_TOO_LARGE');
    assert.match((await failure(directory))[1], /is a directory, not a file/);
    const pointer = path.join(directory, 'pointer.png');
    await writeFile(pointer, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n');
    assert.match((await failure(pointer))[1], /is a pointer of Git LFS and not the file itself/);
    for (const input of [file, `file://${file}`, 'image.png'])
      assert.equal((await failure(input, { allowLocalFiles: false }))[0], 'ACCESS_DENIED');
    if (process.platform === 'win32') return this.skip();
    const pipe = path.join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const special of [pipe, '/dev/zero'])
      assert.match((await failure(special))[1], /is no regular file\.$/);
  });

  it('shows no secrets of a URL, and logs in with those that it holds', async () => {
    const seen: IncomingMessage[] = [];
    const answer: RequestListener = (request, response) => {
      seen.push(request);
      if (request.url!.startsWith('/ok')) response.end(png);
      else response.writeHead(404).end();
    };
    await withServer(answer, async (base) => {
      const secret = base.replace('//', '//user:hunter2@');
      assert.deepEqual((await RawImage.read(`${secret}/ok.png?token=abc`)).size, [5, 4]);
      assert.equal(seen[0].headers.authorization, `Basic ${Buffer.from('user:hunter2').toString('base64')}`);
      for (const broken of [
        'https://user:hunter2@host:99999/x?token=abc',
        'http://u:hunter2@[bad?token=abc',
        'http://user:hunter2@exa mple.com/x#abc',
        'http:user:hunter2@',
        'ftp://user:hunter2@host/x?abc',
        'file://user:hunter2@host/x',
        'https://user:hunt/er2@host/x?token=abc',
        ' https://user:hunter2@host:99999/x',
        '//user:hunter2@host/x',
      ]) {
        const [, text] = await failure(broken);
        assert.doesNotMatch(text, /user|hunt|er2|abc/, `${broken}: ${text}`);
      }
      const [code, message] = await failure(`${secret}/missing.png?token=abc#abc`);
      assert.equal(code, 'DOWNLOAD_FAILED');
      assert.match(
        message,
        /127\.0\.0\.1:\d+\/missing\.png\?\.\.\. could not be fetched: the server answered 404/,
      );
      assert.doesNotMatch(message, /hunter2|abc/);
    });
  });

  it('follows redirects to allowed hosts only', async () => {
    const answer: RequestListener = (request, response) => {
      const { pathname, searchParams } = new URL(request.url!, 'http://host');
      if (pathname === '/to') response.writeHead(302, { location: searchParams.get('url')! }).end();
      else if (pathname === '/loop') response.writeHead(302, { location: '/loop' }).end();
      else if (request.headers.authorization && pathname === '/other') response.writeHead(500).end();
      else response.end(png);
    };
    await withServer(answer, async (base) => {
      const local = base.replace('127.0.0.1', 'localhost');
      const to = (url: string): string => `${local}/to?url=${encodeURIComponent(url)}`;
      const only = { allowedHosts: ['*.example.com', 'LOCALHOST'] };
      assert.deepEqual((await RawImage.read(to('/image.png'), only)).size, [5, 4]);
      assert.deepEqual((await RawImage.read(to(`${base}/image.png`))).size, [5, 4]);
      // A login is for the host that it was given for.
      assert.deepEqual((await RawImage.read(to(`${base}/other`).replace('//', '//a:b@'))).size, [5, 4]);
      for (const url of [
        to(`${base}/image.png`),
        `${base}/image.png`,
        'http://example.com.evil.test/x.png',
      ]) {
        const [code, message] = await failure(url, only);
        assert.equal(code, 'ACCESS_DENIED');
        assert.match(message, /could not be fetched: allowedHosts does not name/);
      }
      const [code, message] = await failure(to('file:///etc/passwd'));
      assert.equal(code, 'DOWNLOAD_FAILED');
      assert.match(message, /it leads to a file: URL/);
      assert.match((await failure(`${local}/loop`))[1], /it leads on more than 20 times/);
    });
  });

  it('refuses private addresses in every form', async () => {
    await withServer(
      (_, response) => response.end(png),
      async (base) => {
        const { port } = new URL(base);
        const hosts = [
          '127.0.0.1',
          '2130706433',
          '0x7f.1',
          '0177.0.0.1',
          '0',
          '[::1]',
          '[::ffff:127.0.0.1]',
          'localhost',
        ];
        for (const host of hosts) {
          const [code, message] = await failure(`http://${host}:${port}/x.png`, {
            allowPrivateAddresses: false,
          });
          assert.equal(code, 'ACCESS_DENIED', `${host}: ${message}`);
          assert.match(message, /is a private address, or has one\.$/);
        }
      },
    );
    const addresses = {
      true: ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111', '2a00:1450::1'],
      false: [
        ...[
          '10.0.0.1',
          '100.64.0.1',
          '169.254.169.254',
          '172.16.0.1',
          '192.168.1.1',
          '198.18.0.1',
          '224.0.0.1',
        ],
        ...[
          '255.255.255.255',
          '0.0.0.0',
          '::',
          'fe80::1',
          'fd00::1',
          'ff02::1',
          '64:ff9b::a00:1',
          '2002:a00:1::',
        ],
        ...['2001::1', '::ffff:10.0.0.1', '::ffff:8.8.8.8', 'no address'],
      ],
    };
    for (const [isPublic, list] of Object.entries(addresses))
      for (const address of list) assert.equal(String(isPublicAddress(address)), isPublic, address);
  });

  it('says so where the proxy of the environment is none, and not its login', async () => {
    const before = process.env.HTTP_PROXY;
    try {
      for (const proxy of ['http://user:hunter2@host:99999', 'nonsense']) {
        process.env.HTTP_PROXY = proxy;
        const [code, message] = await failure('http://example.invalid/x.png');
        assert.equal(code, 'DOWNLOAD_FAILED', message);
        assert.doesNotMatch(message, /hunter2/);
      }
    } finally {
      if (before === undefined) delete process.env.HTTP_PROXY;
      else process.env.HTTP_PROXY = before;
    }
  });

  it('goes through the proxy that the environment names', async () => {
    const asked: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket) => {
      asked.push(request.url!);
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'];
    const saved = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) delete process.env[name];
    try {
      const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      Object.assign(process.env, { HTTPS_PROXY: address, http_proxy: address, NO_PROXY: '127.0.0.1' });
      for (const url of ['https://images.example/x.png', 'http://images.example/x.png'])
        assert.equal((await failure(url))[0], 'DOWNLOAD_FAILED');
      assert.deepEqual(asked, ['images.example:443', 'images.example:80']);
      await withServer(
        (_, response) => response.end(png),
        async (base) => assert.deepEqual((await RawImage.read(`${base}/x.png`)).size, [5, 4]),
      );
    } finally {
      for (const [name, value] of saved) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    }
  });

  it('ends a download at its time limit', async () => {
    await withServer(
      (_, response) => response.write('some'),
      async (base) =>
        assert.match(
          (await failure(`${base}/x.png`, { timeout: 0.1 }))[1],
          /could not be fetched within the timeout of 0\.1 seconds\.$/,
        ),
    );
  });
});
