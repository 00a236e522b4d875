package serve

import (
	"crypto/rand"
	"strings"
)

// newID makes an id that nobody can guess.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }
