"""The census of the sources this test was given, and that the census can fail. Argument: the runfiles of the workspace."""
import os
import shutil
import sys
import tempfile
import unittest

import census
import cpp_state

ROOT = os.path.abspath(sys.argv.pop())
CENSUS = os.path.join(ROOT, "tests/state_census/census.txt")
TRAINER = "tools/training/loop/trainer.h"


def changing(text):
    return [(state.scope, state.name, state.kind, state.handle) for state in cpp_state.parse("x.h", text).states
            if not state.is_const]


class ParserTest(unittest.TestCase):
    def test_members_in_every_form(self):
        text = """
            #include <map>  // int no_ = 0;
            #define MACRO(x) \\
              int x;
            namespace a::b {
            class Forward;
            template <typename T, int N = (2 > 1)>
            class ABSL_X [[nodiscard]] Outer final : public Base<T, 3> {
             public:
              Outer() : Base<T, 3>{1}, c_({1, 2}), names_{"a"} { static int calls = 0; }
              ~Outer();
              Outer& operator=(const Outer&) = delete;
              bool operator<(const Outer& o) const { return c_ < o.c_; }
              int Get() const { return 1 < 2 ? 3 : 4; }
              void Set(std::function<int(int, int)> f, int x = 3);
              static Outer Make(int x);
             private:
              struct Inner { double deep, deeper = 1 < 2; };
              enum class Kind { kA, kB };
              using Map = std::map<int, std::vector<int>>;
              static constexpr int kSize = 3;
              const int fixed_ = 1;
              int& reference_;
              const char* text_ = "a;b";
              char* const pinned_;
              std::function<bool(int, char)> stop_ = [](int, char) { return false; };
              int a_ = 1, b_, *c_[2];
              std::map<int, std::vector<int>> m_{{1, {2}}}, n_;
              int (*callback_)(int, int) = nullptr;
              mutable std::mutex mutex_;
              unsigned bits_ : 3;
              alignas(64) std::atomic<int64_t> next_{0};
              std::unique_ptr<const int> safe_;
              int array_[kSize][3];
              friend class Other;
            };
            extern int elsewhere;
            int global = 3; static thread_local long counter;
            constexpr double kPi = 3.14;
            const std::vector<int> kList = {1, 2};
            std::string made("text");
            struct { int x; } unnamed;
            int Function(int x, const std::vector<int>& y) {
              static std::atomic<int> calls{0};
              static const int once = 1;
              struct Local { int value; };
              auto lambda = [n = 0]() mutable { return ++n; };
              if (x < 3) { thread_local int depth; }
              return R"(static int no;)"[0];
            }
            }  // namespace a::b
        """
        found = changing(text)
        members = [name for scope, name, kind, _ in found if scope == "Outer" and kind in ("member", "mutable")]
        self.assertEqual(members, ["text_", "stop_", "a_", "b_", "c_", "m_", "n_", "callback_", "mutex_", "bits_", "next_",
                                   "safe_", "array_"])
        self.assertEqual([f[:3] for f in found if f[0] != "Outer"], [
            ("Outer::Outer()", "calls", "static"), ("Outer::Inner", "deep", "member"), ("Outer::Inner", "deeper", "member"),
            ("", "global", "static"), ("", "counter", "static"), ("", "made", "static"), ("<unnamed>", "x", "member"),
            ("", "unnamed", "static"), ("Function()", "calls", "static"), ("Function()::Local", "value", "member"),
            ("Function()", "mutable lambda", "lambda"), ("Function()", "depth", "static")])
        handles = [name for scope, name, _, handle in found if scope == "Outer" and handle]
        self.assertEqual(handles, ["stop_", "c_", "callback_"])
        outer = [c for c in cpp_state.parse("x.h", text).classes if c.scope == "Outer"][0]
        self.assertEqual(outer.mutators, ("Set()", "friend Other"))
        self.assertEqual(outer.data, ())

    def test_public_data_and_methods_count_in_structs(self):
        found = cpp_state.parse("x.h", "struct S { int x; const int y = 1; void Add(int z); int Get() const; };").classes[0]
        self.assertEqual((found.mutators, found.data), (("Add()",), ("x",)))


class CensusTest(unittest.TestCase):
    def test_everything_is_registered(self):
        problems, count = census.check(ROOT, CENSUS)
        if problems:
            self.fail("\n" + "\n".join([census.HELP] + problems))
        self.assertGreater(count, 200, "the sources are not where this test looks")

    # What is wrong, and was not before, in a copy of the sources in which one file was changed.
    def after(self, path, old, new):
        folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(shutil.rmtree, folder)
        for source in census.sources(ROOT):
            os.makedirs(os.path.dirname(os.path.join(folder, source)), exist_ok=True)
            shutil.copyfile(os.path.join(ROOT, source), os.path.join(folder, source))
        with open(os.path.join(folder, path)) as source:
            text = source.read()
        self.assertIn(old, text)
        with open(os.path.join(folder, path), "w") as source:
            source.write(text.replace(old, new, 1))
        before = census.check(ROOT, CENSUS)[0]
        return [problem for problem in census.check(folder, CENSUS)[0] if problem not in before]

    def test_a_new_member_of_the_trainer_is_named(self):
        problems = self.after(TRAINER, " private:\n", " private:\n  double outlier_window_ = 0;\n")
        self.assertEqual(len(problems), 1, problems)
        self.assertIn("not registered: Trainer::outlier_window_\n", problems[0])
        self.assertIn("class Trainer in tools/training/loop/trainer.h\n  outlier_window_  KIND  why", problems[0])

    def test_a_static_in_a_kernel_is_named(self):
        problems = self.after("kernels/adamw/adamw_cpu.cc", "namespace cubist {\n", "namespace cubist {\nint calls = 0;\n")
        self.assertEqual(len(problems), 1, problems)
        self.assertIn("not registered: calls\n", problems[0])

    def test_a_member_that_is_gone_is_named(self):
        problems = self.after(TRAINER, "bool stop_ = false;", "")
        self.assertEqual(len(problems), 1, problems)
        self.assertIn("has no Trainer::stop_ that can change", problems[0])

    def test_a_class_that_is_fixed_no_more_is_named(self):
        problems = self.after("data_process/scenes/sampler.h", " private:\n", "  void Reseed(uint32_t seed);\n private:\n")
        self.assertEqual(len(problems), 1, problems)
        self.assertIn("TrainingSampler is not fixed after construction: Reseed()", problems[0])

    def test_plain_data_with_a_method_that_changes_it_is_named(self):
        problems = self.after(TRAINER, "  struct Pending {\n", "  struct Pending {\n    void Add(double x);\n")
        self.assertEqual(len(problems), 1, problems)
        self.assertIn("Trainer::Pending is no plain data: Add()", problems[0])


if __name__ == "__main__":
    unittest.main()
