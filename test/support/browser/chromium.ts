import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const ARGS = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** `CHROMIUM_PATH`, else what is installed as `chromium`; undefined: there is none. */
export function chromiumPath(): string | undefined {
  const path = process.env['CHROMIUM_PATH'] ?? spawnSync('which', ['chromium'], { encoding: 'utf8' }).stdout?.trim();
  return path !== undefined && path !== '' && existsSync(path) ? path : undefined;
}

export const launchChromium = (executablePath: string): Promise<Browser> => chromium.launch({ executablePath, args: ARGS, headless: true });
