package jinja

import "slices"

func init() {
	filters["groupby"] = groupBy
	filters["batch"] = func(s *state, v any, a args) any {
		o := options{s, "batch", a.bind(s, "batch", "linecount", "fill_with")}
		o.need(0)
		n, items := o.int(0, 0), s.iterate(v)
		if n < 1 {
			s.fail("batch: %d items each", n)
		}
		var rows []any
		for row := range slices.Chunk(items, n) {
			row = slices.Clone(row)
			if o.given(1) && o.list[1] != nil {
				s.spend(n)
				row = append(row, slices.Repeat([]any{o.list[1]}, n-len(row))...)
			}
			rows = append(rows, s.list(row))
		}
		return s.list(rows)
	}
	filters["slice"] = func(s *state, v any, a args) any {
		o := options{s, "slice", a.bind(s, "slice", "slices", "fill_with")}
		o.need(0)
		n, items := o.int(0, 0), s.iterate(v)
		if n < 1 {
			s.fail("slice: into %d", n)
		}
		s.spend(s.product(n, 64))
		rows, all := make([]any, n), len(items)
		for i := range rows {
			size, longer := all/n, i < all%n
			if longer {
				size++
			}
			row := slices.Clone(items[:size])
			if items = items[size:]; !longer && o.given(1) && o.list[1] != nil {
				row = append(row, o.list[1])
			}
			rows[i] = s.list(row)
		}
		return s.list(rows)
	}
}

// groupBy is the filter groupby: for each value of an attribute a tuple of it (as the first item has it) and the items, sorted.
func groupBy(s *state, v any, a args) any {
	o := options{s, "groupby", a.bind(s, "groupby", "attribute", "default", "case_sensitive")}
	o.need(0)
	items := s.iterate(v)
	keys := s.each(o, 0, items)
	if o.given(1) {
		keys = s.eachOr(o.list[0], o.list[1], items)
	}
	pairs := make([]any, len(items))
	for i, key := range keys {
		pairs[i] = &list{items: []any{key, items[i]}}
	}
	sensitive := o.bool(2, false)
	var groups []any
	var last any
	var of *list
	for _, pair := range s.sorted(pairs, keys, false, sensitive).items {
		p := pair.(*list).items
		key := s.folded(p[:1], sensitive)[0]
		if of == nil || !s.equal(key, last) {
			of = &list{}
			groups = append(groups, &list{items: []any{p[0], of}, tuple: true, group: true})
		}
		s.spend(16)
		last, of.items = key, append(of.items, p[1])
	}
	return s.list(groups)
}
