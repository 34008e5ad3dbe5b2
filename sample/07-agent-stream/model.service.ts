import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';

/** What is asked of a language model: the rest of an answer that was begun. Most of them take the beginning as a message of the assistant. */
export interface Question {
  readonly prompt: string;
  readonly said: string;
  readonly signal: AbortSignal;
}

const TOKEN_MS = Number(process.env['TOKEN_MS'] ?? 40);
const SENTENCES = [
  'A task is written to the log before its submit is answered, so the question cannot be lost.',
  'Each token is an event with a number: it is on disk before it is on the page.',
  'When the process dies, the next one reads what was said, and asks the model for the rest.',
  'When the page is loaded again, it gets every token from the first one, and then those that are new.',
];

/** In place of a language model: it says the same to the same prompt, a token at a time, and stops when its signal fires. */
@Injectable()
export class Model {
  async *answer({ prompt, said, signal }: Question): AsyncGenerator<string, void, void> {
    const answer = `You asked: ${prompt.trim()} ${SENTENCES.join(' ')}`;
    if (!answer.startsWith(said)) throw new Error('The beginning is not of this answer.');
    for (const [token] of answer.slice(said.length).matchAll(/\s*\S+/g)) {
      await pause(TOKEN_MS, undefined, { signal });
      yield token;
    }
  }
}
