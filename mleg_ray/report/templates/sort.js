for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent;
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const direction = heading.ariaSort === "ascending" ? -1 : 1;
    headings.forEach((other) => { other.ariaSort = null; });
    heading.ariaSort = direction === 1 ? "ascending" : "descending";
    const body = table.tBodies[0];
    const compare = (a, b) => {
      const [x, y] = [key(a, column), key(b, column)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return direction * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
    };
    [...body.rows].sort(compare).forEach((row) => body.append(row));
  }));
}
