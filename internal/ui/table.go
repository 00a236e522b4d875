package ui

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is plain text in aligned columns, two spaces apart. A column whose
// cells all begin like numbers is right-aligned, its header too.
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
	for r, row := range t.rows {
		if r == 0 && len(row) == 0 {
			continue
		}
		var line strings.Builder
		for i, cell := range row {
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
	_, err := io.WriteString(w, b.String())
	return err
}

// isNumber tells whether a cell may stand in a column of numbers: "1.5 GiB",
// "-3", "+Inf", and the placeholders "" and "-".
func isNumber(cell string) bool {
	cell = strings.TrimLeft(cell, "+-.<>~")
	return cell == "" || cell[0] >= '0' && cell[0] <= '9' || cell == "Inf" || cell == "NaN"
}
