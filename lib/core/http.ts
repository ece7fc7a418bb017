/** HTTP for the whole package: through the proxies that the environment names, or to public addresses only. */
import { lookup as resolve, type LookupAddress } from 'node:dns';
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net';
import type * as undici from 'undici';
import { Sam3TrackerError } from './errors';

/** undici, loaded by the first request: that takes a tenth of a second. By require, since Jest has no import(). */
// eslint-disable-next-line @typescript-eslint/no-require-imports
export const httpLibrary = (): typeof undici => require('undici') as typeof undici;

/** What is not the public internet, of IPv4 (IANA's special-purpose registry) and of the public part of IPv6. */
const SPECIAL = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'],
  ...['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  // Teredo, 6to4 and the like carry IPv4 addresses inside.
  ...['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
];

function listOf(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network, prefix] = subnet.split('/');
    list.addSubnet(network, Number(prefix), isIPv6(network) ? 'ipv6' : 'ipv4');
  }
  return list;
}

const special = listOf(SPECIAL);
// All that is handed out so far. Loopback, link-local, mapped IPv4 and the like lie outside.
const globalUnicast = listOf(['2000::/3']);

/** Whether an IP address is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  if (isIPv6(address)) return globalUnicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
  return isIP(address) === 4 && !special.check(address, 'ipv4');
}

function refused(host: string): Sam3TrackerError {
  return new Sam3TrackerError('ACCESS_DENIED', `${host} is a private address, or has one`);
}

/** `dns.lookup` that fails where any address of a name is private. The connection goes to what was checked. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    const failure =
      error ?? (addresses.every(({ address }) => isPublicAddress(address)) ? null : refused(hostname));
    if (failure) callback(failure, '', 0);
    else if (options.all) callback(null, addresses);
    else callback(null, addresses[0].address, addresses[0].family);
  });
};

/**
 * Checks that a URL names no private address itself; a name is resolved and checked when it is connected to.
 *
 * @throws Sam3TrackerError ACCESS_DENIED.
 */
export function checkPublic(url: URL): void {
  // URL has already brought every form of an IPv4 address (decimal, octal, short) into dots.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) && !isPublicAddress(host)) throw refused(host);
}

/**
 * What undici's fetch is to connect through: the proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case of
 * letters; or, for public addresses only, no proxy, because that would resolve names itself.
 */
export function openDispatcher({ publicOnly }: { publicOnly: boolean }): undici.Dispatcher {
  const { Agent, EnvHttpProxyAgent } = httpLibrary();
  return publicOnly ? new Agent({ connect: { lookup: lookupPublic } }) : new EnvHttpProxyAgent();
}
