package convert

import "qpt/format"

// rewrites records in what the file's model differs from the checkpoint's but for rounding, after calibration:
// what rotation turned, what channel scales divided, and biases.
func (p *Plan) rewrites() (r format.Rewrites) {
	r.Params = append(r.Params, p.folds...)
	values := map[string]format.RewrittenValue{}
	copied := map[string]bool{}
	for _, f := range p.folds {
		copied[f.Param] = true
	}
	if p.turned != nil {
		for _, v := range p.turned.Record.Values {
			values[v.Value] = v
		}
		for _, c := range p.turned.Record.Params {
			r.Params = append(r.Params, c)
			copied[c.Param] = true
		}
	}
	var added map[string][]float32 // to biases
	if p.cal != nil {
		for name, s := range p.cal.Source.Value {
			v := values[name]
			v.Value, v.Scales = name, s
			values[name] = v
		}
		added = p.cal.Source.Add
	}
	for _, n := range p.graph.Nodes {
		if v, ok := values[n.Out[0]]; ok {
			r.Values = append(r.Values, v)
		}
	}
	before := p.Model.Graph.ParamMap()
	for _, param := range p.graph.Params {
		c := format.RewrittenParam{Param: param.Name, Change: format.Corrected}
		if _, ok := before[param.Name]; !ok {
			c.Change = format.Added
		}
		if _, changed := added[param.Name]; !copied[param.Name] && (changed || c.Change == format.Added) {
			r.Params = append(r.Params, c)
		}
	}
	return r
}
