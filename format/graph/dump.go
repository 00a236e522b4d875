package graph

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Dump writes g for people, one line a node:
//
//	%q [T, 64] = linear(%n) {model.layers.0.self_attn.q_proj.weight [64, 64]}
func (g *Graph) Dump(w io.Writer) error {
	var b strings.Builder
	for _, v := range g.Inputs {
		fmt.Fprintf(&b, "input %%%s %s %s\n", v.Name, v.DType, g.ShapeString(v.Shape))
	}
	values, params := g.ValueMap(), g.ParamMap()
	for _, n := range g.Nodes {
		for i, out := range n.Out {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%%%s %s", out, g.ShapeString(values[out].Shape))
		}
		fmt.Fprintf(&b, " = %s(", n.Op.Kind())
		for i, in := range n.In {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%%%s", in)
		}
		b.WriteString(")")
		if a := attrString(n.Op); a != "" {
			b.WriteString(" " + a)
		}
		var consts []string
		for _, p := range n.Params {
			if p != "" {
				consts = append(consts, fmt.Sprintf("%s %s", p, strings.ReplaceAll(fmt.Sprint(params[p].Shape), " ", ", ")))
			}
		}
		if consts != nil {
			fmt.Fprintf(&b, " {%s}", strings.Join(consts, ", "))
		}
		b.WriteString("\n")
	}
	for _, o := range g.Outputs {
		fmt.Fprintf(&b, "output %%%s\n", o)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// attrString prints attributes as "eps=0.00001"; of the RoPE frequencies only the ends.
func attrString(op Op) string {
	var freqs string
	if r, ok := op.(RoPE); ok && len(r.Freqs) > 2 {
		freqs = fmt.Sprintf(",freqs=%d from %.6g to %.6g", len(r.Freqs), r.Freqs[0], r.Freqs[len(r.Freqs)-1])
		r.Freqs = []float64{}
		op = r
	}
	data, _ := json.Marshal(op) // of a verified graph: no NaN
	s := strings.NewReplacer(`"`, "", ":", "=").Replace(string(data[1 : len(data)-1]))
	if freqs != "" {
		s = strings.Replace(s, ",freqs=[]", freqs, 1)
	}
	return strings.ReplaceAll(s, ",", " ")
}
