// C simulation of the core: hand-checkable cases, random networks against a dense model, errors and hostile programs.
#include "report.hpp"

int main()
{
    snn_test::Report report;
    snn_test::run_hand_cases(report);
    snn_test::run_random_networks(report);
    snn_test::run_two_at_once(report);
    snn_test::run_error_cases(report);
    report.print_summary();
    return report.passed() ? 0 : 1;
}
