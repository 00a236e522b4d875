package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Table is plain text in aligned columns, two spaces apart. A column whose
// cells all begin like numbers is right-aligned, its header too. On a terminal
// that is too narrow for it, the cells of a column of notes stand below their
// rows; then those of the first column, if it is long, above; then the columns
// that do not fit follow below, with the first one again.
type Table struct {
	rows  [][]string
	notes bool
}

// NewTable returns a table with a header, or without if none is given.
func NewTable(header ...string) *Table {
	return &Table{rows: [][]string{header}}
}

// Row appends a row; cells are printed as by fmt.Sprint, so floating-point
// numbers are best given as formatted strings.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

// Notes says that the last column holds remarks.
func (t *Table) Notes() *Table {
	t.notes = true
	return t
}

// Print writes the table; lines have no trailing spaces.
func (t *Table) Print(w io.Writer) error {
	_, err := io.WriteString(w, t.text(Width(w)))
	return err
}

// Width is how many characters a line of a terminal holds, 0 for what is no terminal.
func Width(w io.Writer) (width int) {
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		width, _, _ = term.GetSize(int(f.Fd()))
	}
	return width
}

// layout is how a table is drawn.
type layout struct {
	width   []int
	numeric []bool
	above   bool // the first column on lines of its own
	below   int  // the column of notes on lines of their own, or 0
}

// long is from where on a first column may go on lines of its own.
const long = 20

// text lays the table out in lines of at most limit characters if columns can; 0 is no limit.
func (t *Table) text(limit int) string {
	var l layout
	for r, row := range t.rows {
		for i, cell := range row {
			if i == len(l.width) {
				l.width, l.numeric = append(l.width, 0), append(l.numeric, true)
			}
			l.width[i] = max(l.width[i], utf8.RuneCountInString(cell))
			if r > 0 && !isNumber(cell) {
				l.numeric[i] = false
			}
		}
	}
	n := len(l.width)
	span := func(from, to int) (w int) {
		for _, c := range l.width[from:to] {
			w += 2 + c
		}
		return w - 2
	}
	if t.notes && limit > 0 && span(0, n) > limit {
		n--
		l.below = n
	}
	if limit > 0 && n > 1 && span(0, n) > limit && l.width[0] >= long && 2+span(1, n) <= limit {
		l.above = true
		limit = 0
	}
	var b strings.Builder
	for from := 0; from < n || from == 0; {
		to, line := from, 0
		if from > 0 {
			line = l.width[0]
			b.WriteByte('\n')
		}
		// At least one column beside the first.
		for to < n && (to <= max(from, 1) || limit <= 0 || line+2+l.width[to] <= limit) {
			if to > 0 {
				line += 2
			}
			line += l.width[to]
			to++
		}
		t.columns(&b, &l, from, to)
		from = max(to, 1)
	}
	return b.String()
}

// columns writes the columns [from, to), after the first.
func (t *Table) columns(b *strings.Builder, l *layout, from, to int) {
	for r, row := range t.rows {
		if r == 0 && len(row) == 0 {
			continue
		}
		var line strings.Builder
		for i, cell := range row {
			if i >= to || i > 0 && i < from {
				continue
			}
			if l.above && i == 0 {
				line.WriteString(cell + "\n  ")
				continue
			}
			pad := strings.Repeat(" ", l.width[i]-utf8.RuneCountInString(cell))
			if l.numeric[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			line.WriteString(cell + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " \n") + "\n")
		if i := l.below; i > 0 && r > 0 && from == 0 && i < len(row) && row[i] != "" {
			b.WriteString("    " + row[i] + "\n")
		}
	}
}

// isNumber tells whether a cell may stand in a column of numbers: "1.5 GiB",
// "-3", "+Inf", and the placeholders "", "-" and "exact".
func isNumber(cell string) bool {
	cell = strings.TrimLeft(cell, "+-.<>~")
	return cell == "" || cell[0] >= '0' && cell[0] <= '9' || slices.Contains([]string{"Inf", "NaN", "exact"}, cell)
}
