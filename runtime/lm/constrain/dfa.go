package constrain

import (
	"encoding/binary"
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"
)

func simpleFold(r rune) rune { return unicode.SimpleFold(r) }

// dfa is a deterministic automaton over characters: what can be intersected and turned into its complement.
// State 0 is the start; -1 is where nothing leads on.
type dfa struct {
	cuts    []rune  // where the ranges of characters begin; the first is 0
	class   []int32 // of each range
	classes int
	next    [][]int32 // by state, by class
	accept  []bool
}

// maxStates bounds a dfa, together with its classes.
const (
	maxStates = 1 << 15
	maxTable  = 1 << 22
)

// determine is the subset construction.
func (n *nfa) determine(start, end int32) *dfa {
	d := &dfa{}
	sets := n.partition(d)
	index := map[string]int32{}
	var members [][]int32
	seen := make([]int32, len(n.list)) // the number of the closure that saw the node last
	mark := int32(0)
	closure := func(todo []int32, begin, atEnd bool) (set []int32) {
		mark++
		for len(todo) > 0 {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if seen[at] == mark {
				continue
			}
			seen[at] = mark
			set = append(set, at)
			todo = append(todo, n.list[at].eps...)
			if begin {
				todo = append(todo, n.list[at].begin...)
			}
			if atEnd {
				todo = append(todo, n.list[at].end...)
			}
		}
		n.b.spend(len(set))
		return set
	}
	add := func(todo []int32, begin bool) int32 {
		set := closure(todo, begin, false)
		if len(set) == 0 {
			return -1
		}
		slices.Sort(set)
		key := make([]byte, 0, 4*len(set)+1)
		for _, at := range set {
			key = binary.LittleEndian.AppendUint32(key, uint32(at))
		}
		if begin { // only there may a beginning be asked for
			key = append(key, 1)
		}
		if i, ok := index[string(key)]; ok {
			return i
		}
		n.b.tooMany(len(d.next), d.classes)
		i := int32(len(d.next))
		index[string(key)] = i
		members = append(members, set)
		row := make([]int32, d.classes)
		d.next = append(d.next, row)
		d.accept = append(d.accept, slices.Contains(closure(slices.Clone(set), begin, true), end))
		return i
	}
	add([]int32{start}, true)
	to := make([][]int32, d.classes)
	for i := 0; i < len(d.next); i++ {
		for k := range to {
			to[k] = to[k][:0]
		}
		for _, at := range members[i] {
			for _, e := range n.list[at].edges {
				for _, k := range sets(e.on) {
					to[k] = append(to[k], e.to)
				}
			}
		}
		for k := range to {
			n.b.spend(1 + len(to[k]))
			d.next[i][k] = add(slices.Clone(to[k]), false)
		}
	}
	return d
}

func (b *builder) tooMany(states, classes int) {
	b.spend(classes)
	if states >= maxStates || states*classes >= maxTable {
		b.fail("a regular expression or a length becomes an automaton of more than %d states", states)
	}
}

// partition cuts the characters into classes that no edge tells apart, and returns the classes of an edge's ranges.
func (n *nfa) partition(d *dfa) func(on []runes) []int32 {
	labels := map[*runes][]runes{} // slices, by their first element
	cut := map[rune]bool{0: true}
	for i := range n.list {
		for _, e := range n.list[i].edges {
			if len(e.on) == 0 || labels[&e.on[0]] != nil {
				continue
			}
			labels[&e.on[0]] = e.on
			for _, r := range e.on {
				cut[r.lo] = true
				if r.hi < utf8.MaxRune {
					cut[r.hi+1] = true
				}
			}
		}
	}
	for r := range cut {
		d.cuts = append(d.cuts, r)
	}
	slices.Sort(d.cuts)
	hash := make([]uint64, len(d.cuts)) // of the labels that a range is in
	number := uint64(0)
	for _, on := range labels {
		number += 0x9E3779B97F4A7C15
		for _, r := range on {
			n.b.spend(1)
			for i, _ := slices.BinarySearch(d.cuts, r.lo); i < len(d.cuts) && d.cuts[i] <= r.hi; i++ {
				hash[i] += mix(number)
			}
		}
	}
	class := map[uint64]int32{}
	for _, h := range hash {
		k, ok := class[h]
		if !ok {
			k = int32(len(class))
			class[h] = k
		}
		d.class = append(d.class, k)
	}
	d.classes = len(class)
	known := map[*runes][]int32{}
	return func(on []runes) []int32 {
		if len(on) == 0 {
			return nil
		}
		list, ok := known[&on[0]]
		if !ok {
			for _, r := range on {
				for i, _ := slices.BinarySearch(d.cuts, r.lo); i < len(d.cuts) && d.cuts[i] <= r.hi; i++ {
					list = append(list, d.class[i])
				}
			}
			slices.Sort(list)
			list = slices.Compact(list)
			known[&on[0]] = list
		}
		n.b.spend(len(list))
		return list
	}
}

// mix spreads the bits of a number, as splitmix64 does.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// matches runs the automaton over a text.
func (d *dfa) matches(text string) bool {
	at := int32(0)
	for _, r := range text {
		i := sort.Search(len(d.cuts), func(i int) bool { return d.cuts[i] > r }) - 1
		if at = d.next[at][d.class[i]]; at < 0 {
			return false
		}
	}
	return d.accept[at]
}

// both is what two automata accept; not: what the first does and the second does not.
func (b *builder) both(x, y *dfa, not bool) *dfa {
	d := &dfa{}
	cuts := slices.Concat(x.cuts, y.cuts)
	slices.Sort(cuts)
	d.cuts = slices.Compact(cuts)
	var pairs [][2]int32 // the classes of x and y, by class
	known := map[[2]int32]int32{}
	i, j := -1, -1
	for _, c := range d.cuts {
		if i+1 < len(x.cuts) && x.cuts[i+1] == c {
			i++
		}
		if j+1 < len(y.cuts) && y.cuts[j+1] == c {
			j++
		}
		p := [2]int32{x.class[i], y.class[j]}
		k, ok := known[p]
		if !ok {
			k = int32(len(pairs))
			known[p] = k
			pairs = append(pairs, p)
		}
		d.class = append(d.class, k)
	}
	d.classes = len(pairs)
	index := map[[2]int32]int32{}
	var members [][2]int32
	add := func(p [2]int32) int32 {
		if p[0] < 0 || p[1] < 0 && !not {
			return -1
		}
		if i, ok := index[p]; ok {
			return i
		}
		b.tooMany(len(d.next), d.classes)
		i := int32(len(d.next))
		index[p] = i
		members = append(members, p)
		d.next = append(d.next, make([]int32, d.classes))
		d.accept = append(d.accept, x.accept[p[0]] && (p[1] >= 0 && y.accept[p[1]]) != not)
		return i
	}
	add([2]int32{0, 0})
	for i := 0; i < len(d.next); i++ {
		for k, p := range pairs {
			to := [2]int32{x.next[members[i][0]][p[0]], -1}
			if members[i][1] >= 0 {
				to[1] = y.next[members[i][1]][p[1]]
			}
			d.next[i][k] = add(to)
		}
	}
	return d
}

// words accepts the texts of a list.
func (b *builder) words(list []string) *dfa {
	n := &nfa{b: b}
	start, end := n.node(), n.node()
	for _, w := range list {
		at := start
		for _, r := range w {
			next := n.node()
			n.edge(at, next, []runes{{r, r}})
			at = next
		}
		n.eps(at, end)
	}
	return n.determine(start, end)
}

// lengths accepts least to most characters (-1: any number).
func (b *builder) lengths(least, most int) *dfa {
	d := &dfa{cuts: []rune{0}, class: []int32{0}, classes: 1}
	last := max(least, most)
	for i := range last + 1 {
		b.tooMany(i, 1)
		next := int32(i + 1)
		if i == last {
			if next = -1; most < 0 {
				next = int32(i)
			}
		}
		d.next = append(d.next, []int32{next})
		d.accept = append(d.accept, i >= least)
	}
	return d
}

// spelling says how characters are written: plain, or within a JSON string.
type spelling func(b *builder, from int32, list []runes, to int32)

func plain(b *builder, from int32, list []runes, to int32) { b.chars(from, list, to) }

// text draws what a dfa accepts.
func (b *builder) text(d *dfa, spell spelling) expr {
	return func(b *builder, from, to int32) {
		b.long = b.long || len(d.next) >= long
		at := make([]int32, len(d.next))
		for i := range at {
			at[i] = b.node()
		}
		b.eps(from, at[0])
		alive := d.alive()
		for i, row := range d.next {
			if !alive[i] {
				continue
			}
			if d.accept[i] {
				b.eps(at[i], to)
			}
			var goals []int32
			on := map[int32][]runes{}
			for c := 0; c < len(d.cuts); { // runs of ranges with the same goal
				goal := row[d.class[c]]
				n := c + 1
				for n < len(d.cuts) && row[d.class[n]] == goal {
					n++
				}
				if goal >= 0 && alive[goal] {
					hi := rune(utf8.MaxRune)
					if n < len(d.cuts) {
						hi = d.cuts[n] - 1
					}
					if on[goal] == nil {
						goals = append(goals, goal)
					}
					on[goal] = append(on[goal], runes{d.cuts[c], hi})
				}
				c = n
			}
			for _, goal := range goals {
				spell(b, at[i], on[goal], at[goal])
			}
		}
	}
}

// alive are the states from which some text is accepted.
func (d *dfa) alive() []bool {
	back := make([][]int32, len(d.next))
	alive := make([]bool, len(d.next))
	var todo []int32
	for i, row := range d.next {
		for _, to := range row {
			if to >= 0 {
				back[to] = append(back[to], int32(i))
			}
		}
		if d.accept[i] {
			alive[i], todo = true, append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range back[at] {
			if !alive[from] {
				alive[from], todo = true, append(todo, from)
			}
		}
	}
	return alive
}
