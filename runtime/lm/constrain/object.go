package constrain

import "slices"

// extra is a kind of properties that the schema does not spell out: the names, nil for all, and the rule of the values.
type extra struct {
	names *dfa
	value int32
}

// extras are the properties that may follow those with names. Where a schema spells out properties and says nothing of
// others, there are none: it would be right to add some, and no use.
func (f *shape) extras(names []string) (list []extra) {
	s := f.s
	var patterns []string
	open := len(names) == 0 || len(names) < f.minProps
	for _, o := range f.nodes {
		if p, ok := o.m["patternProperties"].(*object); ok {
			for _, k := range p.keys {
				if !slices.Contains(patterns, k) {
					patterns = append(patterns, k)
				}
			}
		}
		_, said := o.get("additionalProperties")
		open = open || said
	}
	if !open && len(patterns) == 0 {
		return nil
	}
	// A name that two patterns match would be under both: such names are left out.
	for i := -1; i < len(patterns); i++ { // -1: no pattern matches
		if i < 0 && !open {
			continue
		}
		var all []any
		for _, o := range f.nodes {
			all = append(all, f.under(o, "\x00", func(p string) bool { return i >= 0 && p == patterns[i] })...)
		}
		if slices.Contains(all, any(false)) {
			continue
		}
		var d *dfa
		if i >= 0 {
			d = s.b.regex(patterns[i], false)
		} else if len(names) > 0 || len(patterns) > 0 {
			d = s.b.lengths(0, -1)
		}
		for j, p := range patterns {
			if j != i {
				d = s.b.both(d, s.b.regex(p, false), true)
			}
		}
		if d != nil && len(names) > 0 {
			d = s.b.both(d, s.b.words(names), true)
		}
		list = append(list, extra{d, s.rule(all, f.label("*"))})
	}
	return list
}

// object is the objects of a shape: the properties in their order, each of those that are not required there or not.
func (s *schema) object(f *shape) expr {
	return func(b *builder, from, to int32) {
		names, required := f.names(), f.required()
		extras := f.extras(names)
		if len(extras) > 0 && f.minProps > len(names)+1 {
			s.fail(f.nodes[0], "minProperties %d with %d properties spelled out is not supported", f.minProps, len(names))
		}
		most := len(names) // properties to count
		if f.maxProps >= 0 {
			most = min(most, f.maxProps)
		}
		counts := 1 // of properties so far that are told apart, beside 0
		if f.minProps > 0 || f.maxProps >= 0 {
			counts = max(most, 1)
		}
		member := func(name expr, value int32, first bool) expr {
			e := seq(name, colon, ref(value))
			if !first {
				e = seq(comma, e)
			}
			return e
		}
		at := make([]int32, counts+1) // by the number of properties so far; -1: it cannot be
		for c := range at {
			at[c] = -1
		}
		at[0] = b.node()
		b.edge(from, '{', '{', at[0])
		for _, name := range names {
			value := s.rule(f.property(name), f.label(name))
			next := make([]int32, len(at))
			for c := range next {
				next[c] = -1
			}
			to := func(c int) int32 {
				if next[c] < 0 {
					next[c] = b.node()
				}
				return next[c]
			}
			for c, n := range at {
				if n < 0 {
					continue
				}
				if !required[name] {
					b.eps(n, to(c))
				}
				if f.maxProps < 0 || c < f.maxProps {
					member(lit(quoted(name)), value, c == 0)(b, n, to(min(c+1, counts)))
				}
			}
			at = next
		}
		for c, n := range at {
			if n < 0 {
				continue
			}
			if c >= f.minProps {
				b.edge(n, '}', '}', to)
			}
			if c+1 >= f.minProps && len(extras) > 0 { // two extra names may be the same: only one counts for sure
				s.more(b, n, to, extras, c, f.maxProps, member)
			}
		}
	}
}

// more adds extra properties to an object that has count.
func (s *schema) more(b *builder, from, to int32, extras []extra, count, most int, member func(expr, int32, bool) expr) {
	for at := from; most < 0 || count < most; count++ {
		next := b.node()
		add := func(at int32, first bool) {
			for _, x := range extras {
				name := b.jsonString()
				if x.names != nil {
					name = seq(lit(`"`), b.text(x.names, inString), lit(`"`))
				}
				member(name, x.value, first)(b, at, next)
			}
		}
		add(at, count == 0)
		b.edge(next, '}', '}', to)
		if most < 0 {
			add(next, false)
			return
		}
		at = next
	}
}
