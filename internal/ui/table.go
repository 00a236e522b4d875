package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Table is plain text in aligned columns, two spaces apart. A column whose
// cells all begin like numbers is right-aligned, its header too. On a terminal
// that is too narrow, the columns that do not fit follow below, with the first
// one again.
type Table struct {
	rows [][]string
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

// Print writes the table; lines have no trailing spaces.
func (t *Table) Print(w io.Writer) error {
	limit := 0
	if f, ok := w.(*os.File); ok {
		limit, _, _ = term.GetSize(int(f.Fd())) // 0 if it is no terminal
	}
	_, err := io.WriteString(w, t.text(limit))
	return err
}

// text lays the table out in lines of at most limit characters if columns can; 0 is no limit.
func (t *Table) text(limit int) string {
	var width []int
	var numeric []bool
	for r, row := range t.rows {
		for i, cell := range row {
			if i == len(width) {
				width, numeric = append(width, 0), append(numeric, true)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
			if r > 0 && !isNumber(cell) {
				numeric[i] = false
			}
		}
	}
	var b strings.Builder
	for from := 0; from < len(width) || from == 0; {
		to, line := from, 0
		if from > 0 {
			line = width[0]
			b.WriteByte('\n')
		}
		// At least one column beside the first.
		for to < len(width) && (to <= max(from, 1) || limit <= 0 || line+2+width[to] <= limit) {
			if to > 0 {
				line += 2
			}
			line += width[to]
			to++
		}
		t.columns(&b, width, numeric, from, to)
		from = max(to, 1)
	}
	return b.String()
}

// columns writes the columns [from, to), after the first.
func (t *Table) columns(b *strings.Builder, width []int, numeric []bool, from, to int) {
	for r, row := range t.rows {
		if r == 0 && len(row) == 0 {
			continue
		}
		var line strings.Builder
		for i, cell := range row {
			if i >= to || i > 0 && i < from {
				continue
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if numeric[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			line.WriteString(cell + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// isNumber tells whether a cell may stand in a column of numbers: "1.5 GiB",
// "-3", "+Inf", and the placeholders "" and "-".
func isNumber(cell string) bool {
	cell = strings.TrimLeft(cell, "+-.<>~")
	return cell == "" || cell[0] >= '0' && cell[0] <= '9' || cell == "Inf" || cell == "NaN"
}
