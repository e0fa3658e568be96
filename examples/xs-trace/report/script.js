'use strict';
// A heading sorts its table, numbers by what they are and not by their text; once more is the other way round.
for (const table of document.querySelectorAll('table')) {
  table.querySelectorAll('th button').forEach((button, column) => button.addEventListener('click', () => {
    const body = table.tBodies[0], head = button.parentElement;
    const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const numeric = head.classList.contains('number');
    const first = numeric ? 'descending' : 'ascending', other = numeric ? 'ascending' : 'descending';
    const order = head.getAttribute('aria-sort') === first ? other : first;
    const sign = order === 'ascending' ? 1 : -1;
    const compare = (a, b) => numeric ? value(a) - value(b) : value(a).localeCompare(value(b));
    table.querySelectorAll('th').forEach((th) => th.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', order);
    body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
  }));
}
// Where nothing hovers, a touch shows what a bar stands for.
const tip = document.getElementById('tip');
document.addEventListener('click', (event) => {
  const title = event.target.closest('rect')?.querySelector('title');
  tip.hidden = !title;
  tip.textContent = title ? title.textContent : '';
});
