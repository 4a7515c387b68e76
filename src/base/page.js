'use strict';
// What the script of every page begins with. A page's own follows it.

const $ = id => document.getElementById(id);
function make(tag, attributes, ...children) {
  const x = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {}))
    if (k === 'onclick') x.addEventListener('click', v);
    else if (v === true) x.setAttribute(k, '');
    else if (v !== false && v !== undefined) x.setAttribute(k, v);
  x.append(...children);
  return x;
}
const count = n => n.toLocaleString('en-US');
const plural = (n, word) => count(n) + ' ' + word + (n === 1 ? '' : 's');

