/** The figures of now. @module */
import { bytes, bytesInParts, count, counted } from './format.js';

/** Shows what there is of each figure. */
export class Tiles {
  #tiles;

  constructor(list) {
    const names = ['Throughput', 'Responses', 'In flight', 'Held', 'Copied', 'Waiting', 'Limited'];
    this.#tiles = new Map(names.map((name) => [name, new Tile(list, name)]));
  }

  show({ totals }, rates) {
    const sent = Object.values(totals.sentBytes).reduce((sum, each) => sum + each, 0);
    const [rate, unit] = bytesInParts(rates?.bytes ?? 0);
    const waiting = totals.waitingWriters + totals.waitingReaders;
    const { copiedBytes, quarantinedBytes } = totals;
    this.#set('Throughput', rate, `${unit}/s`, `${bytes(sent)} sent so far`);
    this.#set(
      'Responses',
      count(rates?.responses ?? 0),
      '/s',
      `${count(totals.express)} of ${count(totals.responses)} by express`,
    );
    this.#set('In flight', count(totals.references), '', `${counted(totals.connections, 'connection')} open`);
    const [held, heldUnit] = bytesInParts(totals.heldBytes);
    const quarantined = quarantinedBytes > 0 ? `${bytes(quarantinedBytes)} quarantined` : 'none quarantined';
    this.#set('Held', held, heldUnit, quarantined, quarantinedBytes > 0 ? 'bad' : '');
    const [copied, copiedUnit] = bytesInParts(copiedBytes);
    const share =
      sent > 0
        ? `${((100 * copiedBytes) / sent).toFixed(copiedBytes > 0 ? 1 : 0)} % of what was sent`
        : 'nothing sent yet';
    this.#set('Copied', copied, copiedUnit, share, copiedBytes === 0 && sent > 0 ? 'good' : '');
    const who = `${counted(totals.waitingWriters, 'writer')}, ${counted(totals.waitingReaders, 'reader')}`;
    this.#set('Waiting', count(waiting), '', who);
    const [most, ...others] = Object.entries(totals.limited).sort(([, one], [, other]) => other - one);
    const limited = [most, ...others].reduce((sum, [, times]) => sum + times, 0);
    const why = limited > 0 ? `${count(most[1])} for ${most[0].replaceAll('_', ' ')}` : 'nobody beyond a limit';
    this.#set('Limited', count(limited), '', why);
  }

  #set(name, ...shown) {
    this.#tiles.get(name)?.show(...shown);
  }
}

class Tile {
  #box = document.createElement('div');
  #figure = document.createTextNode('–');
  #unit = document.createElement('small');
  #beside = document.createElement('dd');

  constructor(list, name) {
    this.#box.className = 'tile';
    const term = document.createElement('dt');
    term.textContent = name;
    const figure = document.createElement('dd');
    figure.className = 'figure';
    figure.append(this.#figure, this.#unit);
    this.#beside.className = 'beside';
    this.#beside.textContent = '\u00a0';
    this.#box.append(term, figure, this.#beside);
    list.append(this.#box);
  }

  show(figure, unit, beside, tone = '') {
    this.#figure.data = figure;
    this.#unit.textContent = unit;
    this.#beside.textContent = beside;
    this.#box.dataset.tone = tone;
  }
}
