import { readFile } from 'node:fs/promises';
import { Controller, Get, Header, NotFoundException, Param, StreamableFile } from '@nestjs/common';

/** From the sources and from the compiled `.sample-dist` alike: both are three folders below the root of the package. */
const PUBLIC = new URL('../../../sample/01-quickstart/public/', import.meta.url);

const TYPES = new Map([
  ['index.html', 'text/html; charset=utf-8'],
  ['style.css', 'text/css; charset=utf-8'],
  ['app.js', 'text/javascript; charset=utf-8'],
  ['api.js', 'text/javascript; charset=utf-8'],
  ['element.js', 'text/javascript; charset=utf-8'],
  ['event-list.js', 'text/javascript; charset=utf-8'],
  ['stream-slots.js', 'text/javascript; charset=utf-8'],
  ['units.js', 'text/javascript; charset=utf-8'],
  ['task-card.js', 'text/javascript; charset=utf-8'],
  ['task-stream.js', 'text/javascript; charset=utf-8'],
]);

/** The page, as it lies there: no build step, no static-file middleware. */
@Controller()
export class PageController {
  @Get()
  @Header('content-security-policy', "default-src 'self'; img-src data:")
  index(): Promise<StreamableFile> {
    return this.file('index.html');
  }

  @Get(':name')
  async file(@Param('name') name: string): Promise<StreamableFile> {
    const type = TYPES.get(name);
    if (type === undefined) throw new NotFoundException();
    return new StreamableFile(await readFile(new URL(name, PUBLIC)), { type });
  }
}
