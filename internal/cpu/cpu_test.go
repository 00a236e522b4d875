package cpu

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for isa := Generic; isa <= AMX; isa++ {
		for _, s := range []string{isa.String(), strings.ToUpper(isa.String())} {
			if got, err := ParseISA(s); err != nil || got != isa {
				t.Errorf("ParseISA(%q) = %v, %v; want %v", s, got, err, isa)
			}
		}
	}
	for _, s := range []string{"", "avx", "avx512 ", "sse"} {
		if got, err := ParseISA(s); !errors.Is(err, ErrUnknown) {
			t.Errorf("ParseISA(%q) = %v, %v; want ErrUnknown", s, got, err)
		}
	}
	if got := ISA(9).String(); got != "isa(9)" {
		t.Errorf("ISA(9).String() = %q", got)
	}
}

// The ladder must hold on every machine: a level without those below it,
// AVXVNNI apart, would send kernels to missing instructions.
func TestLadder(t *testing.T) {
	for _, c := range []struct{ isa, needs ISA }{
		{AVX2, Generic}, {AVXVNNI, AVX2}, {AVX512, AVX2}, {AMX, AVX512},
	} {
		if Has(c.isa) && !Has(c.needs) {
			t.Errorf("has %s without %s", c.isa, c.needs)
		}
	}
	if !Has(Generic) || !Has(Detected()) || Has(AMX+1) {
		t.Errorf("Has(generic) %v, Has(Detected()) %v, Has(AMX+1) %v", Has(Generic), Has(Detected()), Has(AMX+1))
	}
}

// withMachine replaces what the machine has for one test.
func withMachine(t *testing.T, levels ...ISA) {
	old, restore := has, SetMax(Active())
	t.Cleanup(func() { has = old; restore() })
	has = [len(names)]bool{Generic: true}
	for _, isa := range levels {
		has[isa] = true
	}
	SetMax(AMX)
}

func TestSetMax(t *testing.T) {
	withMachine(t, AVX2, AVX512, AMX) // as Cascade Lake with tiles: no AVXVNNI
	for _, c := range []struct{ limit, want ISA }{
		{Generic, Generic}, {AVX2, AVX2}, {AVXVNNI, AVX2}, {AVX512, AVX512}, {AMX, AMX}, {200, AMX},
	} {
		before := Active()
		restore := SetMax(c.limit)
		if got := Active(); got != c.want {
			t.Errorf("SetMax(%s): active %s, want %s", c.limit, got, c.want)
		}
		restore()
		if Active() != before {
			t.Errorf("SetMax(%s): restore left %s, want %s", c.limit, Active(), before)
		}
	}
}

func TestUse(t *testing.T) {
	withMachine(t, AVX2, AVX512)
	if err := Use("avx2"); err != nil || Active() != AVX2 {
		t.Errorf("Use(avx2): %v, active %s", err, Active())
	}
	for name, want := range map[string]error{"amx": ErrLacking, "avxvnni": ErrLacking, "mmx": ErrUnknown} {
		if err := Use(name); !errors.Is(err, want) || Active() != AVX2 {
			t.Errorf("Use(%s): %v, active %s; want %v and avx2", name, err, Active(), want)
		}
	}
}

// TestEnv runs this test binary again, because the variable is read once.
func TestEnv(t *testing.T) {
	if os.Getenv("QPT_CPU_TEST_CHILD") != "" {
		os.Stdout.WriteString("active=" + Active().String() + ";")
		if err := Err(); err != nil {
			os.Stdout.WriteString(err.Error())
		}
		return
	}
	for value, want := range map[string]string{
		"":        "active=" + Detected().String() + ";",
		"generic": "active=generic;",
		"sse":     "active=" + Detected().String() + `;environment variable QPT_ISA: unknown instruction set "sse"`,
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEnv$")
		cmd.Env = append(os.Environ(), EnvISA+"="+value, "QPT_CPU_TEST_CHILD=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s=%q: %v\n%s\nwant %q", EnvISA, value, err, out, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	got := Describe()
	t.Log(got)
	if strings.Contains(got, "\n") || !strings.HasSuffix(got, "using "+Active().String()) || !strings.Contains(got, "generic") {
		t.Errorf("Describe() = %q", got)
	}
}

func BenchmarkActive(b *testing.B) {
	for b.Loop() {
		Active()
	}
}
