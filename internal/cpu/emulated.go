//go:build qpt_emulated

package cpu

import (
	"os"
	"strings"
)

// emulates tells whether the program runs under internal/emulate, which carries out what the processor lacks of the levels that the
// variable names.
func emulates(isa ISA) bool { return strings.Contains(os.Getenv("QPT_EMULATED"), isa.String()) }
