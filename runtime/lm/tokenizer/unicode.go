package tokenizer

import (
	_ "embed"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode"
)

// Sets of characters as the library has them, which mixes tables of Unicode 8,
// 9 and its compiler's; testdata/gen/unicode.py asks it for each character.
//
//go:embed unicode.txt
var unicodeText string

// unicodeSets are the lines of unicode.txt by name.
var unicodeSets = sync.OnceValue(func() map[string][][2]rune {
	sets := map[string][][2]rune{}
	for line := range strings.Lines(unicodeText) {
		words := strings.Fields(line)
		for _, w := range words[1:] {
			var r [2]rune
			if n, _ := fmt.Sscanf(w, "%x-%x", &r[0], &r[1]); n == 1 {
				r[1] = r[0]
			}
			sets[words[0]] = append(sets[words[0]], r)
		}
	}
	return sets
})

// runeSet is one line as a function. Its first 256 answers stand in a table.
func runeSet(name string) func() func(rune) bool {
	return sync.OnceValue(func() func(rune) bool {
		t := &unicode.RangeTable{}
		var low [256]bool
		for _, r := range unicodeSets()[name] {
			for c := r[0]; c <= min(r[1], 255); c++ {
				low[c] = true
			}
			if r[1] <= 0xffff {
				t.R16 = append(t.R16, unicode.Range16{Lo: uint16(r[0]), Hi: uint16(r[1]), Stride: 1})
			} else {
				t.R32 = append(t.R32, unicode.Range32{Lo: uint32(r[0]), Hi: uint32(r[1]), Stride: 1})
			}
		}
		return func(r rune) bool { return r >= 0 && r < 256 && low[r] || r >= 256 && unicode.Is(t, r) }
	})
}

var (
	punctuationSet = runeSet("punctuation") // P, and printable ASCII that is neither letter nor digit
	numberSet      = runeSet("number")      // N
	controlSet     = runeSet("control")     // Cc, Cf and Co but for white space
	nonspacingSet  = runeSet("nonspacing")  // Mn
	markSet        = runeSet("mark")        // M
	laterSet       = runeSet("later")       // what only newer tables decompose, order or compose
	joinsSet       = runeSet("joins")       // what never starts a grapheme cluster: marks, joiners
)

// laterLower are capital letters that Go's tables do not know.
var laterLower = sync.OnceValue(func() map[rune]rune {
	m := map[rune]rune{}
	for _, r := range unicodeSets()["lower"] {
		m[r[0]] = r[1]
	}
	return m
})

// laterRunes are characters of Unicode 16, whose tables the library has, that
// Go and regexp2 (15) do not know: first, last, and the nearest old character of the
// category, which is matched in their place. So it lies in the same ranges too.
var laterRunes = sync.OnceValue(func() (list [][3]rune) {
	for name, spans := range unicodeSets() {
		_, category, ok := strings.Cut(name, "later.")
		if !ok {
			continue
		}
		for _, s := range spans {
			d := rune(1)
			old := func(r rune) bool { return unicode.Is(unicode.Categories[category], r) }
			for !old(s[0]-d) && !old(s[1]+d) {
				d++
			}
			in := s[0] - d
			if !old(in) {
				in = s[1] + d
			}
			list = append(list, [3]rune{s[0], s[1], in})
		}
	}
	slices.SortFunc(list, func(a, b [3]rune) int { return int(a[0] - b[0]) })
	return list
})

// standIn returns r, or the old character that stands in for it.
func standIn(r rune) rune {
	if r < 0x897 || 0x3400 <= r && r < 0xa000 || 0xac00 <= r && r < 0xd7a4 {
		return r
	}
	list := laterRunes()
	i := sort.Search(len(list), func(i int) bool { return list[i][1] >= r })
	if i < len(list) && list[i][0] <= r {
		return list[i][2]
	}
	return r
}
