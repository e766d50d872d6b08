// Counting what held and what did not.
#ifndef SNN_REPORT_HPP
#define SNN_REPORT_HPP

#include <cstdint>
#include <cstdio>
#include <string>

namespace snn_test {

class Report {
public:
    void check(bool holds, const std::string& what)
    {
        ++checks_;
        if (!holds) {
            ++failures_;
            std::printf("FAILED: %s\n", what.c_str());
        }
    }

    void equal(std::uint64_t found, std::uint64_t expected, const std::string& what)
    {
        check(
            found == expected,
            what + ": found " + std::to_string(found) + ", expected " + std::to_string(expected));
    }

    bool passed() const { return failures_ == 0; }

    void print_summary() const
    {
        std::printf(
            "C simulation: %llu checks, %llu failures: %s\n", static_cast<unsigned long long>(checks_),
            static_cast<unsigned long long>(failures_), passed() ? "passed" : "FAILED");
    }

private:
    std::uint64_t checks_ = 0;
    std::uint64_t failures_ = 0;
};

void run_hand_cases(Report& report);
void run_random_networks(Report& report);
void run_two_at_once(Report& report);
void run_error_cases(Report& report);

}  // namespace snn_test

#endif  // SNN_REPORT_HPP
