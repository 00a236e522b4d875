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
		if a := text(n.Op); a != "" {
			b.WriteString(" " + a)
		}
		var consts []string
		for _, p := range n.Params {
			if p != "" {
				c := fmt.Sprintf("%s %s", p, strings.ReplaceAll(fmt.Sprint(params[p].Shape), " ", ", "))
				if v := params[p].View; v != nil {
					c += " of " + v.Of
				}
				consts = append(consts, c)
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

// texter is an op with a text form of its own.
type texter interface{ Text() string }

// text prints the attributes of op as "eps=0.00001 offset=1".
func text(op Op) string {
	if t, ok := op.(texter); ok {
		return t.Text()
	}
	return attrString(op)
}

// attrString prints attributes; short replaces parts of their JSON form.
func attrString(op Op, short ...string) string {
	data, _ := json.Marshal(op) // of a verified graph: no NaN
	s := strings.NewReplacer(short...).Replace(string(data[1 : len(data)-1]))
	return strings.NewReplacer(`"`, "", ":", "=", ",", " ").Replace(s)
}

// list is for attrString: a list of more than two numbers by its ends.
func list(key string, x []float64) (oldnew []string) {
	if len(x) < 3 {
		return nil
	}
	data, _ := json.Marshal(x)
	return []string{fmt.Sprintf("%q:%s", key, data), fmt.Sprintf("%q:%d from %.6g to %.6g", key, len(x), x[0], x[len(x)-1])}
}
