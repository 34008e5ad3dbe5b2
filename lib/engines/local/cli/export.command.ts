import { linesOf } from '../wal/entry.codec.js';
import { surveyLog } from '../wal/repair/log-survey.js';
import type { CommandContext, CommandResult } from '../../../cli/command.interface.js';
import { locateLog } from './log-location.js';
import { printable } from '../../../domain/printable.js';

/** Lines as the log has them, control characters as escapes of JSON, of proven frames alone; also of a damaged log, which exit code 1 tells. */
export async function exportEntries({ fs, args, write }: CommandContext): Promise<CommandResult> {
  const { folder } = await locateLog(fs, args.path);
  const { from, to, task } = args;
  const survey = await surveyLog(fs, folder, async ({ body, firstSeq, count }) => {
    if (firstSeq > to || firstSeq + count - 1 < from) return;
    const { offsets, lengths } = linesOf(body, 0);
    let text = '';
    for (let i = 0; i < offsets.length; i++) {
      const seq = firstSeq + i;
      if (seq < from || seq > to) continue;
      const line = body.toString('utf8', offsets[i], offsets[i]! + lengths[i]!);
      if (task === undefined || (JSON.parse(line) as { t: string }).t === task) text += `${printable(line)}\n`;
    }
    if (text !== '') await write(text);
  });
  return { exitCode: survey.faults.some(({ kind }) => kind !== 'torn') ? 1 : 0, report: {}, lines: [] };
}
