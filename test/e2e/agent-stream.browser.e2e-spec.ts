import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { chromiumPath, launchChromium } from '../support/browser/chromium.js';
import { eventually, PATIENCE_MS } from '../support/clock/patience.js';
import { QuickstartServer } from '../support/process/quickstart-server.js';

const executablePath = chromiumPath();
const isRequired = process.env['CI'] === 'true';
if (executablePath === undefined && !isRequired) {
  process.stderr.write('\nSKIPPED: the agent in a browser. There is no chromium here: install it, or set CHROMIUM_PATH.\n\n');
}
const describeInBrowser = executablePath === undefined && !isRequired ? describe.skip : describe;

describeInBrowser('sample 07-agent-stream in a browser', () => {
  let folder: string;
  let server: QuickstartServer;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    if (executablePath === undefined) throw new Error('CI needs chromium: install it, or set CHROMIUM_PATH.');
    browser = await launchChromium(executablePath);
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskflow-agent-'));
    process.env['TOKEN_MS'] = '1000'; // what is to come in the middle does, however busy the machine is
    server = await QuickstartServer.start(folder, '07-agent-stream');
    page = await (await browser.newContext({ viewport: { width: 360, height: 640 } })).newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(server.url);
  });
  afterEach(async () => {
    delete process.env['TOKEN_MS'];
    await page?.context().close();
    await server?.kill();
    await rm(folder, { recursive: true, force: true });
  });

  const ask = async (prompt: string): Promise<void> => {
    await page.fill('#prompt', prompt);
    await page.press('#prompt', 'Tab'); // by keyboard
    await page.keyboard.press('Enter');
  };
  const answer = async (): Promise<string> => (await page.textContent('#answer')) ?? '';
  const has = (characters: number): Promise<string> =>
    eventually(
      () => answer(),
      (text) => text.length >= characters,
    );
  const is = (state: string): Promise<void> => page.locator(`#state[data-state=${state}]`).waitFor();

  it('answers token by token over a reload and a kill -9, and every token is there once', async () => {
    await ask('Will it last?');
    await has(20);
    const before = await answer();
    await page.reload();
    await has(before.length);
    expect((await answer()).startsWith(before)).toBe(true);

    await server.kill('SIGKILL');
    await is('reconnecting');
    const left = await answer();
    process.env['TOKEN_MS'] = '5';
    await server.start();
    await has(left.length + 1);
    await is('complete');
    const whole = await answer();
    expect(whole.startsWith(left)).toBe(true);
    expect(whole).toMatch(/^You asked: Will it last\? A task is written .* and then those that are new\.$/);

    await page.reload();
    await is('complete');
    expect(await answer()).toBe(whole);
    const task = (await (await fetch(`${server.url}tasks/${new URL(page.url()).hash.slice(1)}`)).json()) as object;
    expect(task).toMatchObject({ status: 'completed', fence: 2, result: { characters: whole.length } });
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
  });

  it('is cancelled in the middle, and says nothing after that', async () => {
    await ask('Stop me.');
    await has(10);
    await page.click('#cancel');
    await is('cancelled');
    const said = await answer();
    const task = (await (await fetch(`${server.url}tasks/${new URL(page.url()).hash.slice(1)}`)).json()) as object;
    expect(task).toMatchObject({ status: 'cancelled' });
    await page.reload();
    await is('cancelled');
    expect(await answer()).toBe(said);
  });
});
