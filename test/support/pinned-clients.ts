/** Clients of Debian that ask for ranges, as they are told to download the URL of one version. @module */
import { join } from 'node:path';
import { installedFile, program, type Tool } from './client-tools.ts';

/** A client, and how it is run. */
export type PinnedClient = {
  readonly needs: readonly Tool[];
  /**
   * Whether it asks for what is left where its connections break, and only then; else it asks for ranges one after the
   * other.
   */
  readonly goesOnWhenBroken: boolean;
  /**
   * What is run, one after the other, each whatever has come of the one before, to make the file `made` in the folder, where
   * `copy` is the version that is downloaded.
   */
  commands(url: string, folder: string, made: string): readonly (readonly string[])[];
  /** The offset in the region of the first byte that it makes; by default 0. */
  readonly contentFrom?: number;
  /** What it ends with 0 for as well: then only what it has made tells. */
  readonly hidesErrors?: string;
};

const qemuCurl = installedFile('/usr/lib/*/qemu/block-curl.so', 'qemu-block-extra');
const nbdkitCurl = installedFile('/usr/lib/*/nbdkit/plugins/nbdkit-curl-plugin.so', 'nbdkit');
const fsspec = installedFile('/usr/lib/python3/dist-packages/fsspec/__init__.py', 'python3-fsspec');
const aiohttp = installedFile('/usr/lib/python3/dist-packages/aiohttp/__init__.py', 'python3-aiohttp');
const python = program('python3', 'python3');

const readAll = `
import fsspec, shutil, sys
source = fsspec.filesystem('http').open(sys.argv[1], 'rb', block_size=1 << 18, cache_type='readahead')
with source, open(sys.argv[2], 'wb') as made:
    shutil.copyfileobj(source, made, 1 << 18)
`;

/** Mounts one file, copies it, and unmounts it whatever has come of it. */
const copyMounted = `
mkdir "$1/mount"
httpdirfs --single-file-mode --no-range-check -f "$2" "$1/mount" >"$1/log" 2>&1 &
for _ in $(seq 600); do mountpoint -q "$1/mount" && break; sleep 0.05; done
cp "$1"/mount/* "$3"
status=$?
umount "$1/mount"
wait
exit $status
`;

/** Every other piece of 64 KiB is had already, so that zsync asks for the others, 20 ranges a request. */
const syncHalf = `
cd "$1" && zsyncmake -u "$2" -o control copy || exit
cp copy seed
for at in $(seq 0 2 126); do dd if=/dev/zero of=seed bs=64K seek="$at" count=1 conv=notrunc status=none; done
zsync -i seed -o "$3" control
`;

/** Bytes of a TIFF file before its pixels. */
const tiffHeader = 4096;
const [width, rowsOfStrip] = [1024, 64];

/**
 * Has bytes begin with the header of a TIFF file whose grey pixels are those behind it (TIFF 6.0: 8 bits, strips of 64 KiB), so
 * that GDAL can read them; to the others they are bytes.
 */
export function asTiff(bytes: Buffer): Buffer {
  const rows = (bytes.length - tiffHeader) / width;
  const strips = Math.ceil(rows / rowsOfStrip);
  const lengths = Array.from({ length: strips }, (_, at) => width * Math.min(rowsOfStrip, rows - at * rowsOfStrip));
  const offsets = lengths.map((_, at) => tiffHeader + at * rowsOfStrip * width);
  const [short, long] = [3, 4];
  const [offsetsAt, lengthsAt] = [256, 256 + 4 * strips];
  const tags = [
    ...[
      [256, long, 1, width],
      [257, long, 1, rows],
      [258, short, 1, 8],
      [259, short, 1, 1],
      [262, short, 1, 1],
    ],
    ...[
      [273, long, strips, offsetsAt],
      [277, short, 1, 1],
      [278, long, 1, rowsOfStrip],
      [279, long, strips, lengthsAt],
    ],
  ];
  const header = Buffer.alloc(tiffHeader);
  header.write('II*\0\x08\0\0\0', 'latin1');
  header.writeUInt16LE(tags.length, 8);
  for (const [at, [tag = 0, type = 0, count = 0, value = 0]] of tags.entries()) {
    header.writeUInt16LE(tag, 10 + 12 * at);
    header.writeUInt16LE(type, 12 + 12 * at);
    header.writeUInt32LE(count, 14 + 12 * at);
    header.writeUInt32LE(value, 18 + 12 * at);
  }
  for (const [at, offset] of offsets.entries()) header.writeUInt32LE(offset, offsetsAt + 4 * at);
  for (const [at, length] of lengths.entries()) header.writeUInt32LE(length, lengthsAt + 4 * at);
  return Buffer.concat([header, bytes.subarray(tiffHeader)]);
}

const twice = (command: readonly string[]) => [command, command];

/** By name. What they download is called `region.bin`, and is a TIFF file (`asTiff`) of whole KiB. */
export const pinnedClients: Readonly<Record<string, PinnedClient>> = {
  'curl -C -': {
    needs: [program('curl', 'curl')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => twice(['curl', '-q', '-sS', '-f', '-C', '-', '-o', made, url]),
  },
  'wget, which tries again': {
    needs: [program('wget', 'wget')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => [['wget', '--no-config', '-nv', '--tries=3', '--waitretry=0', '-O', made, url]],
  },
  'wget -c': {
    needs: [program('wget', 'wget')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => twice(['wget', '--no-config', '-nv', '--tries=1', '-c', '-O', made, url]),
  },
  'wget2 by chunks': {
    needs: [program('wget2', 'wget2')],
    goesOnWhenBroken: false,
    commands: (url, _, made) => [
      ['wget2', '--no-config', '--chunk-size=256K', '--max-threads=2', '--tries=3', '--waitretry=0', '-O', made, url],
    ],
    hidesErrors: 'all but 404',
  },
  'wget2 -c': {
    needs: [program('wget2', 'wget2')],
    goesOnWhenBroken: true,
    // With -O it would empty the file before it asks.
    commands: (url, folder, made) => [
      ...twice(['wget2', '--no-config', '--tries=1', '-c', '--cut-file-get-vars', '-P', folder, url]),
      ['mv', join(folder, 'regions/region.bin'), made],
    ],
    hidesErrors: 'all but 404',
  },
  'aria2c over four connections': {
    needs: [program('aria2c', 'aria2')],
    goesOnWhenBroken: true,
    commands: (url, folder) => [
      [
        ...['aria2c', '--no-conf', '-q', '-x4', '-s4', '-k1M', '--min-split-size=1M', '--file-allocation=none'],
        ...['--max-tries=3', '--retry-wait=0', '-d', folder, '-o', 'made', url],
      ],
    ],
  },
  'aria2c -c': {
    needs: [program('aria2c', 'aria2')],
    goesOnWhenBroken: true,
    commands: (url, folder) =>
      twice(['aria2c', '--no-conf', '-q', '-x1', '-s1', '-c', '--max-tries=1', '-d', folder, '-o', 'made', url]),
  },
  'axel over four connections': {
    needs: [program('axel', 'axel')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => [['axel', '-q', '-n', '4', '-o', made, url]],
  },
  'lftp pget': {
    needs: [program('lftp', 'lftp')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => [lftp(`pget -n 4 -c '${url}' -o ${made}`)],
  },
  'lftp get -c': {
    needs: [program('lftp', 'lftp')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => [lftp(`get -c '${url}' -o ${made}`)],
  },
  'httpie -c': {
    needs: [program('http', 'httpie')],
    goesOnWhenBroken: true,
    commands: (url, _, made) =>
      twice(['http', '--ignore-stdin', '--check-status', '--download', '-c', '-o', made, url]),
  },
  'ffmpeg -reconnect': {
    needs: [program('ffmpeg', 'ffmpeg')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => [
      [
        ...['ffmpeg', '-nostdin', '-loglevel', 'warning', '-xerror', '-reconnect', '1', '-reconnect_delay_max', '1'],
        ...['-f', 'rawvideo', '-pixel_format', 'gray', '-video_size', '1024x1', '-i', url],
        ...['-c', 'copy', '-f', 'rawvideo', made],
      ],
    ],
  },
  'qemu-img convert': {
    needs: [program('qemu-img', 'qemu-utils'), qemuCurl],
    goesOnWhenBroken: false,
    commands: (url, _, made) => {
      const image = JSON.stringify({ driver: 'raw', file: { driver: 'http', url, readahead: 65536 } });
      return [['qemu-img', 'convert', '-m', '1', '-O', 'raw', `json:${image}`, made]];
    },
  },
  'nbdcopy from nbdkit': {
    needs: [program('nbdkit', 'nbdkit'), nbdkitCurl, program('nbdcopy', 'libnbd-bin')],
    goesOnWhenBroken: false,
    commands: (url, _, made) => [
      ['nbdkit', '-U', '-', '-f', 'curl', `url=${url}`, '--run', `nbdcopy --connections=1 --requests=1 "$uri" ${made}`],
    ],
  },
  'gdal_translate /vsicurl/': {
    needs: [program('gdal_translate', 'gdal-bin')],
    goesOnWhenBroken: false,
    commands: (url, _, made) => [['gdal_translate', '-q', '-of', 'ENVI', `/vsicurl/${url}`, made]],
    contentFrom: tiffHeader,
  },
  'fsspec of Python': {
    needs: [python, fsspec, aiohttp],
    goesOnWhenBroken: false,
    commands: (url, _, made) => [['python3', '-c', readAll, url, made]],
  },
  httpdirfs: {
    needs: [program('httpdirfs', 'httpdirfs')],
    goesOnWhenBroken: false,
    commands: (url, folder, made) => [['bash', '-c', copyMounted, 'copy', folder, url, made]],
  },
  zsync: {
    needs: [program('zsync', 'zsync'), program('zsyncmake', 'zsync')],
    goesOnWhenBroken: false,
    commands: (url, folder, made) => [['bash', '-c', syncHalf, 'sync', folder, url, made]],
  },
  'rclone copyurl': {
    needs: [program('rclone', 'rclone')],
    goesOnWhenBroken: true,
    commands: (url, _, made) => [
      ['rclone', '--config', '', '--retries', '2', '--low-level-retries', '2', 'copyurl', url, made],
    ],
  },
};

function lftp(what: string): string[] {
  const settings = [
    'net:max-retries 3',
    'net:reconnect-interval-base 1',
    'cmd:fail-exit true',
    'cmd:verify-host false',
  ];
  return ['lftp', '--norc', '-c', [...settings.map((each) => `set ${each}`), what].join('; ')];
}
