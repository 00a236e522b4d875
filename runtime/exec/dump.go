package exec

import (
	"fmt"
	"io"
	"strings"
)

// Dump prints the compiled plan, a step a line: what it computes, from which values, and where the results go. @n is
// a buffer of float32 rows that values use in turn; "a8 64" the quantized rows of 64 values that a step's layers read, /n those
// that a layer's sink has made for later steps. A value without @ never lies in memory.
func (p *Program) Dump(w io.Writer) error {
	var text strings.Builder
	for i, st := range p.steps {
		fmt.Fprintf(&text, "%3d %s\n", i, p.dumpStep(st))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (p *Program) dumpStep(st step) string {
	switch st := st.(type) {
	case *rowStep:
		var to []string
		if st.dst >= 0 {
			to = append(to, p.place(st.dst))
		}
		for _, q := range st.quant {
			to = append(to, p.rowsName(q))
		}
		return fmt.Sprintf("%s%s -> %s", st.what, p.places(st.src), strings.Join(to, ", "))
	case *convStep:
		return st.dump(p)
	case *chainStep:
		return st.dump(p)
	case *linearStep:
		text := "linear of " + p.rowsName(quant{acts: st.acts})
		for i := range st.layers {
			text += "\n      " + p.dumpTarget(&st.layers[i])
		}
		return text
	}
	kind := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", st), "*exec."), "Step")
	text := kind + " " + st.node() + p.places(st.reads())
	if len(st.writes()) > 0 {
		text += " ->" + p.places(st.writes())
	}
	return text
}

func (p *Program) dumpTarget(t *target) string {
	text := fmt.Sprintf("%s %s", t.name, t.Weight.Format)
	if t.add >= 0 {
		text += " + " + p.place(t.add)
	}
	switch {
	case t.gate != nil:
		text = fmt.Sprintf("%s(%s %s) * %s", t.fnName, t.gateName, t.gate.Format, text)
	case t.fn != nil:
		text = fmt.Sprintf("%s(%s)", t.fnName, text)
	}
	var to []string
	if t.dst >= 0 {
		to = append(to, p.place(t.dst))
	}
	if t.next {
		to = append(to, p.rowsName(t.rows))
	}
	return text + " -> " + strings.Join(to, ", ")
}

// place is a value and the buffer that it lies in.
func (p *Program) place(v int) string {
	text := "%" + p.values[v].Name
	if slot := p.values[v].slot; slot >= 0 {
		text += fmt.Sprintf(" @%d", slot)
	}
	return text
}

func (p *Program) places(list []int) (text string) {
	for i, v := range list {
		if i > 0 {
			text += ","
		}
		text += " " + p.place(v)
	}
	return text
}

// rowsName is a buffer of quantized rows, with the scale and zero point of static ones.
func (p *Program) rowsName(q quant) string {
	a := p.acts[q.acts]
	text := fmt.Sprintf("%s %d", a.form, a.k)
	if a.static {
		text = "static " + text
	}
	if a.owner > 0 {
		text += fmt.Sprintf("/%d", a.owner)
	}
	if q.scale > 0 {
		text += fmt.Sprintf(" (scale %g zero %d)", q.scale, q.zero)
	}
	return text
}
