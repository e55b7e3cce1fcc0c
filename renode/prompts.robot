*** Comments ***
A recipe's prompts on an emulated board: tokens, CRC-32 of the logits, instruction counts; and requests that are wrong.
`nox -s renode_tests` gives the variables:
    BOARD                    the board's name: its script is BOARD.resc, beside this file
    UART                     its UART's name in the platform
    ELF                      the image
    EXPECTED                 what stage `emulate` wrote as expected.json, with counts from QEMU where it ran
    INSTRUCTIONS_PER_TICK    what a tick of the board's counter stands for under Renode

*** Settings ***
Resource          ${RENODEKEYWORDS}
Resource          thimble.resource
Suite Setup       Setup
Suite Teardown    Teardown
Test Setup        Reset Emulation
Test Teardown     Test Teardown
Test Timeout      30 minutes

*** Variables ***
# What a request may take besides what the board counts: reading its line, encoding its text, printing the last line.
${BESIDES}        400000

*** Test Cases ***
Should Tell What It Runs
    Boot    ${ELF}
    Ask    INFO    OK protocol=1 board=${BOARD} .* weights=intact tables=intact code=intact data=intact record=intact.*

Should Answer Every Prompt As Expected
    ${expected}=    Evaluate    json.load(open($EXPECTED, encoding="utf-8"))    modules=json
    Should Not Be Empty    ${expected}[prompts]
    Boot    ${ELF}
    FOR    ${prompt}    IN    @{expected}[prompts]
        ${before}=    Executed Instructions
        ${steps}    ${whole}=    Step By Step    ${prompt}
        ${after}=    Executed Instructions
        Should Be True    ${steps} <= ${whole}
        ${outside}=    Evaluate    ${after} - ${before} - ${whole} * ${INSTRUCTIONS_PER_TICK}
        Should Be True    -2 * ${INSTRUCTIONS_PER_TICK} <= ${outside} <= ${BESIDES}
        ...    the board counts ${whole} ticks, ${outside} instructions less than the emulator
        ${again}    ${whole_again}=    Step By Step    ${prompt}
        Should Be True    abs(${steps} - ${again}) <= ${{len($prompt['steps'])}}    the steps' counts do not repeat
        ${prefill}=    In Blocks    ${prompt}
        Should Be True    ${prefill} <= ${steps}
    END

Should Refuse What Is Malformed And Go On
    Boot    ${ELF}
    Ask    NONSENSE    ERR unknown .*
    Ask    ASK 4 %ff    ERR not-utf8 .*
    Ask    ASK 0 light    ERR out-of-range .*
    Ask    ASK 4 a b    ERR malformed .*
    Ask    GEN 4 99999999    ERR out-of-range .*
    Ask    ${EMPTY}    ERR empty .*
    Ask    ASK 1 ${{'a' * 2000}}    ERR line-too-long .*
    Ask    INFO    OK protocol=1 .*
