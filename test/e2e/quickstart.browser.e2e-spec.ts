import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Locator, Page } from 'playwright-core';
import { chromiumPath, launchChromium } from '../support/browser/chromium.js';
import { QuickstartServer } from '../support/process/quickstart-server.js';
import { PATIENCE_MS, eventually } from '../support/clock/patience.js';

const ENDLESS = 100_000;

const executablePath = chromiumPath();
const isRequired = process.env['CI'] === 'true';
if (executablePath === undefined && !isRequired) {
  process.stderr.write('\nSKIPPED: the quickstart in a browser. There is no chromium here: install it, or set CHROMIUM_PATH.\n\n');
}
const describeInBrowser = executablePath === undefined && !isRequired ? describe.skip : describe;

describeInBrowser('sample 01-quickstart in a browser', () => {
  let folder: string;
  let server: QuickstartServer;
  let browser: Browser;
  let page: Page;
  let faults: string[];

  beforeAll(async () => {
    if (executablePath === undefined) throw new Error('CI needs chromium: install it, or set CHROMIUM_PATH.');
    browser = await launchChromium(executablePath);
  });
  afterAll(() => browser?.close());

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskflow-quickstart-'));
    server = await QuickstartServer.start(folder);
    page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    faults = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    await page.goto(server.url);
    await page.locator('#connection[data-state=live]').waitFor();
  });
  afterEach(async () => {
    await page?.context().close();
    await server?.kill();
    await rm(folder, { recursive: true, force: true });
  });

  /** A failing step leaves a picture of the page and what the server printed. */
  const shown = async (steps: () => Promise<void>): Promise<void> => {
    try {
      await steps();
      expect(faults).toEqual([]);
    } catch (error) {
      const path = join(await mkdtemp(join(tmpdir(), 'taskflow-screenshot-')), 'page.png');
      await page.screenshot({ path, fullPage: true }).catch(() => undefined);
      process.stderr.write(`Screenshot: ${path}\nServer:\n${server.output}\n`);
      throw error;
    }
  };

  const start = (kind: string): Promise<void> => page.click(`form[data-kind=${kind}] button`);
  const card = (kind: string): Locator => page.locator(`.task[data-kind=${kind}]`);
  const reaches = (kind: string, status: string): Promise<void> =>
    page.locator(`.task[data-kind=${kind}][data-status=${status}]`).waitFor();
  /** Asks for the events: a task that ended before the page had a connection for it is not read otherwise. */
  const openEvents = async (kind: string): Promise<void> => {
    const isOpen = await card(kind).locator('details').getAttribute('open');
    if (isOpen === null) await card(kind).locator('summary').click();
  };
  const eventOf = async (kind: string, type: string): Promise<void> => {
    await openEvents(kind);
    await card(kind).locator(`.events li[data-type=${type}]`).first().waitFor({ state: 'attached' });
  };
  const rowsDone = (): Promise<number> =>
    card('import-rows')
      .locator('progress')
      .evaluate((bar) => (bar as unknown as { value: number }).value);
  const reachesRow = (row: number): Promise<number> => eventually(rowsDone, (done) => done >= row, PATIENCE_MS);
  const stat = (name: string, value: number): Promise<void> =>
    page.locator(`#stats dd[data-stat="${name}"]`, { hasText: new RegExp(`^${value}$`) }).waitFor();

  /** The numbers of the events as they stand in the page: 1, 2, 3 … to the last one, which `end` is. List and sentence are read at once. */
  const expectWholeStream = async (kind: string, end: string): Promise<number> => {
    await eventOf(kind, end);
    const [seqs, sentence] = await card(kind).evaluate((node) => {
      const { children } = node.querySelector('.events') as { children: Iterable<{ dataset: Record<string, string> }> };
      return [[...children].map(({ dataset }) => Number(dataset['seq'])), node.querySelector('.contiguity')?.textContent] as const;
    });
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
    expect(sentence).toBe(`1 to ${seqs.length}, no gap, none twice`);
    return seqs.length;
  };
  const typesOf = (kind: string): Promise<(string | null)[]> =>
    card(kind)
      .locator('.events li')
      .evaluateAll((lines) => lines.map((line) => line.getAttribute('data-type')));

  it('starts the three kinds, shows live progress, and cancels a running import', () =>
    shown(async () => {
      await start('send-report');
      // So many that it is not over before the click, however late that comes.
      await page.fill('form[data-kind=import-rows] input[name=rows]', String(ENDLESS));
      await start('import-rows');
      await start('charge-card');
      await reaches('import-rows', 'running');
      await reachesRow(10);
      const seen = await rowsDone();
      await reachesRow(seen + 5);
      await reaches('send-report', 'completed');
      await card('import-rows').getByRole('button', { name: 'Cancel' }).click();
      await reaches('import-rows', 'cancelled');
      expect(await expectWholeStream('import-rows', 'cancelled')).toBeGreaterThan(3);
      expect(await rowsDone()).toBeLessThan(ENDLESS);
      expect(await expectWholeStream('send-report', 'complete')).toBeGreaterThan(3);
      await stat('Cancelled', 1);
      await stat('Completed', 1);
    }));

  it('shows a payment that failed three times among the dead letters, and retries it once the gateway is up', () =>
    shown(async () => {
      await start('charge-card');
      await page.locator('#dead-letters li', { hasText: 'The payment gateway does not answer.' }).waitFor();
      await reaches('charge-card', 'failed');
      await eventOf('charge-card', 'failed');
      expect((await typesOf('charge-card')).filter((type) => type === 'start')).toHaveLength(3);
      await stat('Failed', 1);

      await page.locator('#gateway').check();
      await page.locator('#dead-letters').getByRole('button', { name: 'Retry' }).click();
      await reaches('charge-card', 'completed');
      await page.locator('#no-dead-letters').waitFor();
      await expectWholeStream('charge-card', 'complete');
      await stat('Completed', 1);
    }));

  it('says so when the server is killed in the middle of an import, and goes on by itself when it is back', () =>
    shown(async () => {
      await start('import-rows');
      await reachesRow(40);
      expect(await server.kill('SIGKILL')).toBe('SIGKILL');
      const rowsAtKill = await rowsDone();
      expect(rowsAtKill).toBeLessThan(300);
      await page.locator('#connection[data-state=reconnecting]', { hasText: 'Reconnecting' }).waitFor();
      // A click while nobody answers is not lost, and not doubled: the page sends it again with the same key.
      await start('send-report');

      await server.start();
      await page.locator('#connection[data-state=live]').waitFor();
      await reaches('send-report', 'completed');
      expect(await card('send-report').count()).toBe(1);
      await eventOf('import-rows', 'recovered');
      await reachesRow(rowsAtKill + 5);
      await reaches('import-rows', 'completed');

      // created, start, one event per batch of five rows, recovered, start, resumed, complete
      expect(await expectWholeStream('import-rows', 'complete')).toBe(300 / 5 + 6);
      const types = await typesOf('import-rows');
      expect(types.filter((type) => type === 'recovered')).toHaveLength(1);
      expect(types.filter((type) => type === 'complete')).toHaveLength(1);
      await stat('Recovered', 1);
      await stat('Completed', 2);
      expect(await card('send-report').count()).toBe(1);
    }));

  it('shows the events of a task that ended while other streams had all connections, when somebody asks for them', () =>
    shown(async () => {
      await page.fill('form[data-kind=import-rows] input[name=rows]', String(ENDLESS));
      for (const count of [1, 2]) {
        await start('import-rows');
        await eventually(
          () => card('import-rows').locator('.contiguity[data-whole=true]').count(),
          (watched) => watched === count,
          PATIENCE_MS,
        );
      }
      await start('send-report');
      await reaches('send-report', 'completed');
      await expectWholeStream('send-report', 'complete');
    }));

  it('shows each user the own tasks only', () =>
    shown(async () => {
      await start('send-report');
      await card('send-report').waitFor();
      await page.selectOption('#user', 'bob');
      await page.locator('#no-tasks').waitFor();
      expect(await card('send-report').count()).toBe(0);
      await page.selectOption('#user', 'alice');
      await reaches('send-report', 'completed');
    }));

  it('keeps the focus of whoever uses the keyboard, wraps long titles, and shows when things were and how long they took', () =>
    shown(async () => {
      await page.fill('form[data-kind=send-report] input[name=title]', 'W'.repeat(100));
      await page.focus('form[data-kind=send-report] button');
      await page.keyboard.press('Enter');
      await reaches('send-report', 'completed');
      const focused = (): Promise<string> =>
        page.evaluate("document.activeElement.closest('form')?.dataset.kind ?? document.activeElement.localName");
      expect(await focused()).toBe('send-report');
      expect(await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth')).toBe(true);
      await card('send-report')
        .locator('.times', { hasText: /took \d[\d.]* (ms|s)/ })
        .waitFor();
      await eventOf('send-report', 'complete');
      expect(await card('send-report').locator('.events time').first().getAttribute('datetime')).toMatch(/Z$/);

      await page.fill('form[data-kind=import-rows] input[name=rows]', String(ENDLESS));
      await start('import-rows');
      await reaches('import-rows', 'running');
      await card('import-rows').getByRole('button', { name: 'Cancel' }).focus();
      await page.keyboard.press('Enter');
      await reaches('import-rows', 'cancelled');
      expect(await focused()).toBe('summary');
    }));

  it('says of the figures of a server that does not answer that they are of the past', () =>
    shown(async () => {
      await stat('Completed', 0);
      await server.kill('SIGKILL');
      await page.locator('#stats[data-stale=true]').waitFor();
      await page.locator('#stats-note', { hasText: /The server does not answer\. As of .+:/ }).waitFor();
      expect(await page.locator('#kill').textContent()).toBe('kill -9 …');
      await server.start();
      await page.locator('#stats[data-stale=false]').waitFor();
    }));

  it('goes on in two tabs with more running tasks than a browser has connections', () =>
    shown(async () => {
      for (let n = 0; n < 8; n++) {
        await page.fill('form[data-kind=import-rows] input[name=rows]', String(ENDLESS - n));
        await start('import-rows');
        await eventually(
          () => card('import-rows').count(),
          (count) => count === n + 1,
          PATIENCE_MS,
        );
      }
      const other = await page.context().newPage();
      await other.goto(server.url);
      for (const tab of [page, other]) {
        await tab.locator('#connection[data-state=live]').waitFor();
        expect(await tab.evaluate("fetch('/api/status').then(({ ok }) => ok)")).toBe(true);
        // Tasks take turns where there is no stream for each: every one of them is watched.
        await eventually(
          () => tab.locator('.contiguity[data-whole=true]').count(),
          (count) => count >= 3,
          PATIENCE_MS,
        );
      }
      await other.locator('form[data-kind=send-report] button').click();
      await reaches('send-report', 'completed');
      await other.close();
    }));
});
